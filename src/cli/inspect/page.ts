/** An inspection as one self-contained HTML page. */
import { basename } from 'node:path';
import type { DataReport } from '../../data/inspect/report.js';
import { escapeHtml, page, tile } from '../../report/html.js';
import { type Chart, imageCharts, lengthChart, overlapChart, vocabularyChart } from './charts.js';
import {
  captionSection,
  faultSection,
  imageSection,
  lengthSection,
  overlapSection,
  repeatSection,
  schemaSection,
  vocabularySection,
} from './sections.js';
import { captionEntries, count, countsText, kindName, looked, overlapsWithFirst, share } from './words.js';

const STYLE = `
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 250px), 1fr)); gap: .8rem; }
.sample { display: flex; flex-direction: column; gap: .55rem; padding: .8rem; min-width: 0; }
.sample img { width: 100%; height: 170px; object-fit: contain; border: 0; }
.sample .none { height: 170px; border-radius: 8px; background: var(--line); color: var(--muted); display: grid; place-items: center; font-size: .85rem; }
.sample code { font-size: .75rem; color: var(--muted); overflow-wrap: anywhere; }
.sample dl { margin: 0; font-size: .82rem; line-height: 1.4; } .sample dt { color: var(--muted); font-size: .72rem; margin-top: .35rem; }
.sample dd { margin: 0; overflow-wrap: anywhere; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 6; overflow: hidden; }
.wide { overflow-wrap: anywhere; } .notes { border-left: 4px solid var(--accent); margin-top: 1rem; }
.card + .card { margin-top: .8rem; } .grid > .card + .card { margin-top: 0; }`;

/** The page of an inspection. It refers to no other file. */
export async function renderDataPage(report: DataReport): Promise<string> {
  const title = `capstan: ${report.sources.map(({ path }) => basename(path)).join(', ')}`;
  const charts = [
    await lengthChart(report),
    await overlapChart(report),
    await vocabularyChart(report),
    ...(await imageCharts(report)),
  ].filter((chart) => chart !== undefined);
  const body = [
    `<h1>${escapeHtml(title)}</h1>`,
    `<p class="muted">${escapeHtml(`Inspected: ${looked(report)}; seed ${report.seed}.`)}</p>`,
    tiles(report),
    notes(report.notes),
    chartGrid(charts),
    ...report.sources.map(schemaSection),
    captionSection(report),
    lengthSection(report),
    overlapSection(report),
    vocabularySection(report),
    imageSection(report),
    repeatSection(report),
    faultSection(report),
    samples(report),
  ];
  return page(title, body.filter((part) => part !== '').join('\n'), STYLE);
}

function tiles(report: DataReport): string {
  const { sources, splits, images, keys } = report;
  const files = sources.reduce((sum, source) => sum + (source.files?.count ?? 0), 0);
  const shown = [
    tile(
      count(report.rows),
      'rows',
      splits === undefined ? `in ${count(files)} files` : countsText(splits.counts, 4),
    ),
  ];
  const kinds = captionEntries(report).filter(([, { present }]) => present > 0);
  shown.push(
    tile(String(kinds.length), 'kinds of captions', kinds.map(([kind]) => kindName(kind)).join(', ')),
  );
  const best = overlapsWithFirst(report).toSorted((a, b) => b.baseCovered - a.baseCovered)[0];
  if (best !== undefined) {
    shown.push(
      tile(
        share(best.baseCovered),
        `${kindName(best.base)} covered at best`,
        `entities, by ${kindName(best.kind)}`,
      ),
    );
  }
  if (images !== undefined) {
    const broken = images.looked - images.decoded;
    shown.push(tile(count(broken), 'broken images', `of ${count(images.looked)} looked at`));
    const { equalFiles, nearDuplicates } = images;
    shown.push(
      tile(
        count(nearDuplicates.extra),
        'images like another',
        `${count(equalFiles.extra)} of equal files, ${count(nearDuplicates.compared)} compared`,
      ),
    );
  }
  const faults = report.faults.reduce((sum, group) => sum + group.count, 0);
  shown.push(
    tile(
      count(faults),
      'faulty rows',
      `${count(keys.extra)} with the key of another, ${count(report.damagedFiles.length)} damaged files`,
    ),
  );
  return `<div class="tiles">\n${shown.join('\n')}\n</div>`;
}

function notes(lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `<div class="card notes">${lines.map((line) => `<p>${escapeHtml(line)}</p>`).join('')}</div>`;
}

function chartGrid(charts: readonly Chart[]): string {
  if (charts.length === 0) return '';
  const cards = charts.map(
    ({ title, svg }) => `<section class="card"><h3>${escapeHtml(title)}</h3>${svg}</section>`,
  );
  return `<h2>At a glance</h2>\n<div class="grid">\n${cards.join('\n')}\n</div>`;
}

function samples({ samples: rows }: DataReport): string {
  if (rows.length === 0) return '';
  const cards = rows.map(({ key, captions, picture }) => {
    const image =
      picture === undefined
        ? '<div class="none">no picture</div>'
        : `<img src="${picture}" alt="${escapeHtml(captions.alt ?? key)}" loading="lazy">`;
    const texts = Object.entries(captions).map(
      ([kind, text]) =>
        `<dt>${escapeHtml(kindName(kind as keyof typeof captions))}</dt><dd title="${escapeHtml(text)}">${escapeHtml(text)}</dd>`,
    );
    return `<section class="card sample">${image}<code>${escapeHtml(key)}</code><dl>${texts.join('')}</dl></section>`;
  });
  return `<h2>Some rows</h2>\n<div class="samples">\n${cards.join('\n')}\n</div>`;
}
