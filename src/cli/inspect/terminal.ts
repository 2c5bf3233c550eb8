/** An inspection as text for a terminal. */
import { formatBytes } from '../../assets/index.js';
import type {
  DataReport,
  FaultGroup,
  ImageReport,
  RepeatReport,
  SourceReport,
} from '../../data/inspect/report.js';
import { formatTable } from '../format-table.js';
import {
  captionEntries,
  count,
  counted,
  countsText,
  cut,
  kindName,
  looked,
  overlapsWithFirst,
  share,
  spreadText,
  vocabularyTable,
} from './words.js';

/** Lines of a list that are shown; the page and the JSON have more. */
const NUM_SHOWN = 3;
const TEXT_WIDTH = 70;

/** All of it but the samples, short enough to read. */
export function formatReport(report: DataReport): string {
  const parts = [
    ...report.sources.map(formatSource),
    formatDamage(report),
    formatRows(report),
    formatCaptions(report),
    formatVocabulary(report),
    formatOverlap(report),
    formatRepeats(report),
    report.images === undefined ? '' : formatImages(report.images),
    formatFaults(report.faults),
    report.notes.map((note) => `Note: ${note}`).join('\n'),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function formatSource({ path, schema, rows, columns, files }: SourceReport): string {
  const mapped = columns.filter(({ from }) => from !== undefined);
  const unused = columns.filter(({ used }) => !used).map(({ name }) => name);
  const own = columns.filter(({ used, from }) => used && from === undefined).map(({ name }) => name);
  const lines = [`${path}: ${counted(rows, 'row')}, schema ${schema ?? 'not known'}`];
  if (files !== undefined) {
    const groups =
      files.groups === undefined || files.groupRows === undefined
        ? ''
        : `; ${counted(files.groups, 'group')} of ${spreadText(files.groupRows)} rows`;
    lines.push(
      `  files     ${Object.entries(files.formats)
        .map(([format, number]) => `${count(number)} ${format}`)
        .join(', ')}; ${formatBytes(files.totalBytes)}, each ${spreadText(files.bytes, formatBytes)}; ` +
        `rows ${spreadText(files.rows)}${groups}`,
    );
  }
  if (mapped.length > 0) {
    const names = mapped.map(({ name, from }) => `${name} = ${[from].flat().join(' + ')}`);
    lines.push(`  columns   ${names.join(', ')}`);
  }
  if (mapped.length === 0 && own.length > 0) lines.push(`  columns   ${own.join(', ')}`);
  if (unused.length > 0) lines.push(`  not used  ${unused.join(', ')}`);
  return lines.join('\n');
}

function formatDamage({ damagedFiles }: DataReport): string {
  if (damagedFiles.length === 0) return '';
  const shown = damagedFiles.slice(0, NUM_SHOWN).map(({ message }) => `  ${message}`);
  const rest = damagedFiles.length - shown.length;
  const head = `${counted(damagedFiles.length, 'file')} left out, which cannot be opened:`;
  return [head, ...shown, ...(rest > 0 ? [`  ${counted(rest, 'other file')}`] : [])].join('\n');
}

function formatRows(report: DataReport): string {
  const lines = [`Read: ${looked(report)}; seed ${report.seed}`];
  if (report.splits !== undefined) {
    lines.push(`Splits (by ${report.splits.by}): ${countsText(report.splits.counts)}`);
  }
  for (const [column, values] of Object.entries(report.languages)) {
    lines.push(`Languages (${column}): ${countsText(values)}`);
  }
  if (Object.keys(report.captions).length > 0) {
    const shown = report.combinations
      .slice(0, NUM_SHOWN)
      .map(({ kinds, count: rows }) => `${kinds.join(' + ') || 'no caption'} ${count(rows)}`);
    const rest = report.combinations.length - shown.length;
    lines.push(
      `Captions that rows have: ${shown.join('; ')}${rest > 0 ? `; ${rest} other combinations` : ''}`,
    );
  }
  return lines.join('\n');
}

/** With lengths in CLIP tokens or, without a tokenizer, in words; the page and the JSON have all units. */
function formatCaptions(report: DataReport): string {
  const entries = captionEntries(report);
  const unit = entries.some(([, { tokens }]) => tokens !== undefined) ? 'tokens' : 'words';
  const counts = ['present', 'empty', 'missing', 'texts'];
  const numbers = [...counts, unit, 'mean', 'p95', 'p99', 'over 77', 'over 24', 'usual length'];
  const rows = entries.map(([kind, captions]) => {
    const { present, empty, missing, texts, over, usual } = captions;
    const length = captions[unit];
    const lengths =
      length === undefined
        ? ['', '', '', '']
        : [spreadText(length), length.mean.toFixed(1), count(length.p95), count(length.p99)];
    return [
      kind,
      ...[present, empty, missing, texts].map(count),
      ...lengths,
      ...(over === undefined ? ['', ''] : [share(over[77]), share(over[24])]),
      usual === undefined
        ? ''
        : `${share(usual.share)} in ${usual.least}${usual.most === undefined ? '+' : `-${usual.most}`}`,
    ];
  });
  return rows.length === 0 ? '' : formatTable(['captions', ...numbers], rows, numbers);
}

function formatVocabulary(report: DataReport): string {
  const { heads, rows } = vocabularyTable(report, 'of', (kind) => kind);
  return rows.length === 0 ? '' : formatTable(['vocabulary', ...heads], rows, heads);
}

/** Of every kind with the first; the page and the JSON have every two. */
function formatOverlap(report: DataReport): string {
  const overlaps = overlapsWithFirst(report);
  const [first] = overlaps;
  if (first === undefined) return '';
  const base = kindName(first.base);
  const numbers = ['only these', 'shared', `only ${base}`, `${base} covered`];
  const rows = overlaps.map(({ kind, onlyKind, shared, onlyBase, baseCovered }) => [
    kind,
    ...[onlyKind, shared, onlyBase].map(count),
    share(baseCovered),
  ]);
  const all = report.entities.exact ? '' : '\n  (estimates)';
  return `${formatTable([`entities (${report.extractor})`, ...numbers], rows, numbers)}${all}`;
}

function formatRepeats(report: DataReport): string {
  const repeats: [string, RepeatReport][] = [['keys', report.keys]];
  for (const [kind, captions] of captionEntries(report)) {
    if (captions.repeats !== undefined) repeats.push([kind, captions.repeats]);
  }
  if (report.images !== undefined) repeats.push(['image files', report.images.equalFiles]);
  const numbers = ['all', 'different', 'that repeat', 'to spare'];
  const rows = repeats.map(([name, { total, distinct, repeatedValues, extra, exact }]) => [
    name,
    count(total),
    ...[distinct, repeatedValues, extra].map((value) => `${exact ? '' : '~'}${count(value)}`),
  ]);
  const lines = captionEntries(report).flatMap(([kind, { repeats: found }]) =>
    found === undefined || found.top.length === 0
      ? []
      : [
          `  ${kind}: ${found.top
            .slice(0, NUM_SHOWN)
            .map(({ text, count: times }) => `${count(times)} × "${cut(text, TEXT_WIDTH)}"`)
            .join(', ')}`,
        ],
  );
  const keys = report.keys.top.slice(0, NUM_SHOWN).map(({ keys: found, count: times }) => {
    return `  key ${found[0]}: ${count(times)} rows (${found.slice(1).join('; ')})`;
  });
  return [formatTable(['repeats', ...numbers], rows, numbers), ...keys, ...lines].join('\n');
}

function formatImages(images: ImageReport): string {
  const { looked: number, decoded, bombs, broken, formats, modes, orientations, nearDuplicates } = images;
  const lines = [`Images: ${count(number)} looked at, ${count(decoded)} decoded`];
  const traits = Object.entries(modes).filter(([, times]) => times > 0);
  lines.push(`  formats      ${countsText(formats)}`);
  if (traits.length > 0) lines.push(`  of these     ${countsText(Object.fromEntries(traits))}`);
  const { width, height, aspect, bytes } = images;
  if (width !== undefined && height !== undefined && aspect !== undefined) {
    const ratio = spreadText(aspect, (value) => (value / 100).toFixed(2));
    lines.push(
      `  size         ${spreadText(width)} by ${spreadText(height)} pixels, width over height ${ratio}`,
    );
  }
  if (bytes !== undefined) lines.push(`  bytes        ${spreadText(bytes, formatBytes)}`);
  if (Object.keys(orientations).length > 0)
    lines.push(`  orientation  ${countsText(orientations)} (EXIF, not applied)`);
  const { groups, extra, compared, top } = nearDuplicates;
  lines.push(
    `  look alike   ${counted(groups, 'group')} with ${count(extra)} to spare, of ${count(compared)} compared`,
  );
  lines.push(
    ...top
      .slice(0, NUM_SHOWN)
      .map(({ keys, count: times }) => `    ${count(times)}: ${keys.slice(0, 4).join(', ')}`),
  );
  if (bombs > 0) lines.push(`  too large    ${count(bombs)} have more pixels than are decoded`);
  if (broken.length > 0) lines.push(formatGroups('broken images', broken));
  return lines.join('\n');
}

function formatFaults(faults: readonly FaultGroup[]): string {
  return faults.length === 0 ? '' : formatGroups('faulty rows', faults);
}

function formatGroups(what: string, groups: readonly FaultGroup[]): string {
  const total = groups.reduce((sum, group) => sum + group.count, 0);
  const lines = groups.slice(0, NUM_SHOWN + 2).map(({ count: times, examples }) => {
    const [first] = examples;
    return `  ${count(times)} as ${first?.key}: ${first?.message}`;
  });
  const rest = groups.length - lines.length;
  return [`${count(total)} ${what}`, ...lines, ...(rest > 0 ? [`  ${rest} other reasons`] : [])].join('\n');
}
