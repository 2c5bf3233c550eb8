/** An inspection as one picture: lengths, overlaps and some rows. */
import sharp from 'sharp';
import type { DataReport, SampleRow, TextColumn } from '../../data/inspect/report.js';
import { escapeHtml, lightColours } from '../../report/html.js';
import { type Chart, lengthChart, overlapChart } from './charts.js';
import { cut, kindName, looked } from './words.js';

const FONT = "'DejaVu Sans', 'Liberation Sans', Arial, sans-serif";
const [WIDTH, MARGIN, GAP] = [1240, 32, 20];
const HEAD = 92;
const CHART = { width: (WIDTH - 2 * MARGIN - GAP) / 2, height: 400 };
const [COLUMNS, MAX_ROWS] = [6, 3];
const CELL = { width: (WIDTH - 2 * MARGIN - (COLUMNS - 1) * 12) / COLUMNS, height: 268 };
const PICTURE = 150;
const [LINE, LETTERS] = [15, 29];
/** Kinds of captions of a row, and lines of each. */
const [KINDS, LINES] = [2, 3];
/** Pixels drawn for each of the picture's units. */
const DENSITY = 1.5;

/** The picture as PNG, on light ground. */
export async function renderDataPicture(report: DataReport): Promise<Uint8Array> {
  const charts = [await lengthChart(report), await overlapChart(report)].filter(
    (chart) => chart !== undefined,
  );
  const chartHeight = charts.length === 0 ? 0 : CHART.height + GAP;
  const shown = report.samples.slice(0, COLUMNS * MAX_ROWS);
  const height = HEAD + chartHeight + Math.ceil(shown.length / COLUMNS) * (CELL.height + 12) + MARGIN - 12;
  const parts = [
    text(MARGIN, 44, cut(report.sources.map(({ path }) => path).join(', '), 90), 22, 'text', 'bold'),
    text(MARGIN, 70, `capstan data inspect: ${looked(report)}`, 13, 'muted'),
    ...charts.map((chart, i) => chartCard(chart, MARGIN + i * (CHART.width + GAP), HEAD)),
    ...shown.map((row, i) => {
      const [across, down] = [i % COLUMNS, Math.floor(i / COLUMNS)];
      return sampleCell(
        row,
        MARGIN + across * (CELL.width + 12),
        HEAD + chartHeight + down * (CELL.height + 12),
      );
    }),
  ];
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${WIDTH * DENSITY}" ` +
    `height="${height * DENSITY}" viewBox="0 0 ${WIDTH} ${height}" font-family="${FONT}">` +
    `<rect width="100%" height="100%" fill="var(--page)"/>${parts.join('')}</svg>`;
  return sharp(Buffer.from(coloured(svg)), { unlimited: true })
    .png()
    .toBuffer();
}

/** The page's variables have no meaning to what draws the picture. */
const coloured = (svg: string): string =>
  svg.replace(/var\(--([a-z0-9-]+)\)/g, (_, name: string) => lightColours[name] as string);

function text(
  x: number,
  y: number,
  content: string,
  size: number,
  colour: string,
  weight = 'normal',
): string {
  return `<text x="${x}" y="${y}" font-size="${size}" font-weight="${weight}" fill="var(--${colour})">${escapeHtml(content)}</text>`;
}

const card = (x: number, y: number, width: number, height: number): string =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="10" fill="var(--card)" stroke="var(--line)"/>`;

function chartCard({ title, svg }: Chart, x: number, y: number): string {
  const inner = svg
    .replace(/^<svg /, `<svg x="${x + 14}" y="${y + 40}" `)
    .replace(/ width="[\d.]+"/, ` width="${CHART.width - 28}"`)
    .replace(/ height="[\d.]+"/, ` height="${CHART.height - 52}"`)
    .replaceAll('font-family="inherit"', `font-family="${FONT}"`);
  return card(x, y, CHART.width, CHART.height) + text(x + 16, y + 27, title, 14, 'text', 'bold') + inner;
}

function sampleCell({ key, captions, picture }: SampleRow, x: number, y: number): string {
  const image =
    picture === undefined
      ? `<rect x="${x + 10}" y="${y + 10}" width="${CELL.width - 20}" height="${PICTURE}" rx="6" fill="var(--line)"/>`
      : `<image x="${x + 10}" y="${y + 10}" width="${CELL.width - 20}" height="${PICTURE}" xlink:href="${picture}"/>`;
  const texts = (Object.entries(captions) as [TextColumn, string][])
    .slice(0, KINDS)
    .flatMap(([kind, caption]) => wrapped(`${kindName(kind)}: ${caption}`, LETTERS, LINES));
  const lines = [cut(key, LETTERS), ...(texts.length === 0 ? ['no caption'] : texts)];
  return (
    card(x, y, CELL.width, CELL.height) +
    image +
    lines
      .map((line, i) => text(x + 10, y + PICTURE + 28 + i * LINE, line, 11, i === 0 ? 'muted' : 'text'))
      .join('')
  );
}

/** The text in lines of at most so many letters, the last of which says if there is more. */
function wrapped(content: string, letters: number, lines: number): string[] {
  const found: string[] = [];
  let rest = content.replace(/\s+/g, ' ').trim();
  while (rest !== '' && found.length < lines) {
    const points = [...rest];
    const isLast = found.length === lines - 1;
    if (points.length <= letters || isLast) {
      found.push(cut(rest, letters));
      break;
    }
    const start = points.slice(0, letters + 1).join('');
    const space = start.lastIndexOf(' ');
    const line = space > letters / 2 ? start.slice(0, space) : points.slice(0, letters).join('');
    found.push(line);
    rest = rest.slice(line.length).trimStart();
  }
  return found;
}
