/** Small pieces of HTML: escaping, tables, the page with its style. */
import { readFile } from 'node:fs/promises';
import { extname, join, relative, resolve } from 'node:path';
import { DataError } from '../errors.js';

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text made safe for element content and quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
}

/** A cell: text, escaped here, or markup that is already safe. */
export type Cell = string | number | { readonly html: string };

const cellHtml = (cell: Cell): string => (typeof cell === 'object' ? cell.html : escapeHtml(String(cell)));

/** A table; columns whose name is in `numeric` are right-aligned. */
export function table(
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
  numeric: readonly string[] = [],
): string {
  const kind = (at: number) => (numeric.includes(columns[at] as string) ? ' class="number"' : '');
  const head = columns.map((column, at) => `<th scope="col"${kind(at)}>${escapeHtml(column)}</th>`).join('');
  const body = rows
    .map((row) => `<tr>${row.map((cell, at) => `<td${kind(at)}>${cellHtml(cell)}</td>`).join('')}</tr>`)
    .join('\n');
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

/** A fraction as a percentage of sensible precision. */
export function percent(value: number): string {
  const scaled = value * 100;
  return `${scaled.toFixed(scaled !== 0 && Math.abs(scaled) < 1 ? 2 : 1)} %`;
}

/** How many times chance a score is. */
export function timesChance(value: number, chance: number): string {
  const ratio = value / chance;
  return `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1)} ×`;
}

const MIME: Record<string, string> = { '.png': 'image/png', '.webp': 'image/webp', '.jpg': 'image/jpeg' };

/**
 * An image of the run folder as a data URI, so that the page needs no other file.
 *
 * @throws DataError if it is missing, of an unknown kind, or outside the folder.
 */
export async function imageUri(dir: string, name: string): Promise<string> {
  const path = resolve(join(dir, name));
  const mime = MIME[extname(path)];
  if (mime === undefined || relative(resolve(dir), path).startsWith('..')) {
    throw new DataError(`${path}: expected a .png, .webp or .jpg file inside ${dir}.`);
  }
  try {
    return `data:${mime};base64,${(await readFile(path)).toString('base64')}`;
  } catch (error) {
    throw new DataError(
      `${path}: an image of the evaluation is missing (${(error as Error).message}). Evaluate again.`,
      {
        cause: error,
      },
    );
  }
}

/** The colours of the page's CSS variables on light ground. */
export const lightColours: Readonly<Record<string, string>> = {
  page: '#f6f7f9',
  card: '#fff',
  text: '#1b2330',
  muted: '#667085',
  line: '#dfe3ea',
  accent: '#2f5fd0',
  good: '#14804a',
  bad: '#b3402f',
  'series-0': '#2f5fd0',
  'series-1': '#d9730d',
  'series-2': '#178f5b',
  'series-3': '#b23a93',
  'series-4': '#6d5bd0',
  'series-5': '#0f8ea8',
  'series-6': '#a3761f',
  'series-7': '#c43d3d',
};

const darkColours: Readonly<Record<string, string>> = {
  page: '#12151b',
  card: '#1b2029',
  text: '#e6e9ef',
  muted: '#98a2b3',
  line: '#313846',
  accent: '#8ab0ff',
  good: '#5fd09a',
  bad: '#ff9d8a',
  'series-0': '#7ea6ff',
  'series-1': '#ffab5e',
  'series-2': '#5fd09a',
  'series-3': '#f08bd5',
  'series-4': '#b0a3ff',
  'series-5': '#5cc9de',
  'series-6': '#e0b862',
  'series-7': '#ff8f8f',
};

const variables = (colours: Readonly<Record<string, string>>): string =>
  Object.entries(colours)
    .map(([name, colour]) => `--${name}: ${colour};`)
    .join(' ');

const STYLE = `
:root { color-scheme: light dark; ${variables(lightColours)} }
@media (prefers-color-scheme: dark) { :root { ${variables(darkColours)} } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: .95rem; margin: 0 0 .5rem; }
p { margin: .35rem 0; } .muted, figcaption, small { color: var(--muted); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: .8rem; margin-top: 1.25rem; }
.card, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.25; letter-spacing: -0.02em; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 430px), 1fr)); gap: .8rem; }
.grid svg { width: 100%; height: auto; display: block; }
.stack > * + * { margin-top: .8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--muted); font-weight: 500; font-size: .85rem; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
tbody tr:last-child td { border-bottom: 0; }
.examples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 500px), 1fr)); gap: .8rem; }
.example { display: flex; gap: .9rem; align-items: flex-start; }
.example > div { min-width: 0; flex: 1; }
.strip { display: flex; gap: .55rem; flex-wrap: wrap; margin-top: .5rem; }
figure { margin: 0; width: 84px; } figcaption { font-size: .72rem; line-height: 1.25; margin-top: .2rem; overflow-wrap: anywhere; }
img { width: 84px; height: 84px; border-radius: 8px; display: block; border: 3px solid transparent; background: var(--line); }
img.right { border-color: var(--good); }
ol { margin: 0; padding-left: 1.3rem; } li.right { color: var(--good); font-weight: 600; }
pre { margin: 0; overflow-x: auto; font: 12.5px/1.5 ui-monospace, 'DejaVu Sans Mono', monospace; }
summary { cursor: pointer; } details[open] > summary { margin-bottom: .7rem; }
.run { margin-top: 2.5rem; } .run > summary { font-size: 1.2rem; font-weight: 600; }
footer { margin-top: 3rem; color: var(--muted); font-size: .85rem; }`;

/** A figure to see first. */
export function tile(value: string, name: string, note: string): string {
  return `<div class="tile"><small>${escapeHtml(name)}</small><b>${escapeHtml(value)}</b><small>${escapeHtml(note)}</small></div>`;
}

/**
 * The whole page around its body. It refers to no other file.
 *
 * @param style rules beyond those of every page
 */
export function page(title: string, body: string, style = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}${style}
</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
}
