/** The sections of an inspection's page; one without data is left out. */
import { formatBytes } from '../../assets/index.js';
import type { DataReport, FaultGroup, RepeatReport, SourceReport } from '../../data/inspect/report.js';
import { type Cell, escapeHtml, table } from '../../report/html.js';
import { captionEntries, count, countsText, kindName, share, spreadText, vocabularyTable } from './words.js';

const section = (title: string, ...cards: string[]): string => {
  const shown = cards.filter((card) => card !== '');
  if (shown.length === 0) return '';
  return `<h2>${escapeHtml(title)}</h2>\n${shown.map((card) => `<div class="card">${card}</div>`).join('\n')}`;
};

const small = (text: string): string => `<p><small>${escapeHtml(text)}</small></p>`;

/** Columns and files of one of the data sets. */
export function schemaSection({ path, schema, rows, columns, files }: SourceReport): string {
  const facts: Cell[][] = [
    ['path', path],
    ['schema', schema ?? 'not known'],
    ['rows', count(rows)],
  ];
  if (files !== undefined) {
    const formats = Object.entries(files.formats).map(([format, number]) => `${count(number)} ${format}`);
    facts.push(
      ['files', `${formats.join(', ')}; ${formatBytes(files.totalBytes)}`],
      ['bytes of a file: least / median / most', spreadText(files.bytes, formatBytes)],
      ['rows of a file: least / median / most', spreadText(files.rows)],
    );
    if (files.groups !== undefined && files.groupRows !== undefined) {
      facts.push(['row groups or batches', `${count(files.groups)}, of ${spreadText(files.groupRows)} rows`]);
    }
  }
  const named = columns.map(({ name, from, types, nulls, used }) => [
    name,
    from === undefined ? '' : [from].flat().join(' + '),
    types.join(' or ') || 'null',
    share(nulls),
    used ? '' : 'not used',
  ]);
  return section(
    'Schema',
    table(['what', 'found'], facts),
    table(['column', 'made of', 'type', 'null', ''], named, ['null']) +
      small('Types and nulls are those of up to 64 rows, at even distances.'),
  );
}

/** Which captions there are. */
export function captionSection(report: DataReport): string {
  const numbers = ['present', 'empty', 'missing', 'texts', 'over 77', 'over 24', 'usual length', 'within'];
  const rows = captionEntries(report).map(([kind, { present, empty, missing, texts, over, usual }]) => [
    kindName(kind),
    ...[present, empty, missing, texts].map(count),
    ...(over === undefined ? ['', ''] : [share(over[77]), share(over[24])]),
    usual === undefined
      ? ''
      : `${usual.least}${usual.most === undefined ? ' and more' : ` to ${usual.most}`}`,
    usual === undefined ? '' : share(usual.share),
  ]);
  if (rows.length === 0) return '';
  const combinations = report.combinations.map(({ kinds, count: times }) => [
    kinds.map(kindName).join(' + ') || 'none',
    count(times),
    share(times / Math.max(1, report.rowsRead)),
  ]);
  const languages = Object.entries(report.languages).map(([column, values]) => [
    column,
    countsText(values, 20),
  ]);
  return section(
    'Captions',
    table(['kind', ...numbers], rows, numbers) +
      small(
        'Over 77 and over 24: share of the texts that a context of so many tokens cuts off, start and end of text included. ' +
          'Usual lengths are in CLIP tokens without them.',
      ),
    table(['rows with captions of', 'rows', 'share'], combinations, ['rows', 'share']),
    languages.length === 0 ? '' : table(['column of languages', 'values'], languages),
  );
}

/** How long captions are. */
export function lengthSection(report: DataReport): string {
  const numbers = ['least', 'median', 'mean', 'p95', 'p99', 'most'];
  const rows = captionEntries(report).flatMap(([kind, captions]) =>
    (['characters', 'words', 'tokens'] as const).flatMap((unit) => {
      const found = captions[unit];
      if (found === undefined) return [];
      const { least, median, mean, p95, p99, most } = found;
      const name = unit === 'tokens' ? 'CLIP tokens' : unit;
      return [
        [kindName(kind), name, count(least), count(median), mean.toFixed(1), ...[p95, p99, most].map(count)],
      ];
    }),
  );
  return rows.length === 0 ? '' : section('Lengths', table(['kind', 'in', ...numbers], rows, numbers));
}

/** Entities of every two kinds. */
export function overlapSection({ entities, extractor }: DataReport): string {
  const numbers = ['only first', 'shared', 'only second', 'second covered'];
  const rows = entities.overlaps.map(({ kind, base, onlyKind, shared, onlyBase, baseCovered, examples }) => [
    kindName(kind),
    kindName(base),
    ...[onlyKind, shared, onlyBase].map(count),
    share(baseCovered),
    examples.onlyKind.join(', '),
    examples.onlyBase.join(', '),
  ]);
  if (rows.length === 0) return '';
  const what =
    extractor === 'nouns'
      ? 'Entities are nouns and proper names, by their lemma, as a tagger of English finds them'
      : 'Entities are all words but articles, prepositions and the like';
  return section(
    'Entities of one kind of captions and of another',
    table(['first', 'second', ...numbers, 'such as, only first', 'such as, only second'], rows, numbers) +
      small(
        `${what}. Their number grows with that of the rows.${entities.exact ? '' : ' Counts are estimates.'}`,
      ),
  );
}

/** How varied captions are. */
export function vocabularySection(report: DataReport): string {
  const { heads, rows } = vocabularyTable(report, 'in', kindName);
  if (rows.length === 0) return '';
  return section(
    'Vocabulary',
    table(['kind', ...heads], rows, heads) +
      small(
        'Longer captions have more different words because they are longer: compare kinds after as many words, and after as ' +
          'many texts. Both count from the first row on.',
      ),
  );
}

/** What the images are. */
export function imageSection({ images }: DataReport): string {
  if (images === undefined) return '';
  const traits = Object.fromEntries(Object.entries(images.modes).filter(([, times]) => times > 0));
  const facts: Cell[][] = [
    ['looked at', `${count(images.looked)} of ${count(images.of)}`],
    ['formats', countsText(images.formats, 20)],
    ['of these', countsText(traits) || 'none is grey, has a palette, inks or alpha, moves, or has 16 bits'],
    ['EXIF orientation', countsText(images.orientations) || 'none has one'],
    [
      'most frequent sizes',
      images.sizes
        .map(({ width, height, count: times }) => `${width} × ${height}: ${count(times)}`)
        .join(', '),
    ],
  ];
  const numbers = ['least', 'median', 'mean', 'p95', 'p99', 'most'];
  const lengths = (
    [
      ['width in pixels', images.width, count],
      ['height in pixels', images.height, count],
      ['width over height', images.aspect, (value: number) => (value / 100).toFixed(2)],
      ['bytes', images.bytes, (value: number) => formatBytes(Math.round(value))],
    ] as const
  ).flatMap(([name, found, format]) => {
    if (found === undefined) return [];
    const { least, median, mean, p95, p99, most } = found;
    return [[name, ...[least, median, mean, p95, p99, most].map(format)]];
  });
  return section(
    'Images',
    table(['what', 'found'], facts),
    lengths.length === 0 ? '' : table(['', ...numbers], lengths, numbers),
    images.broken.length === 0 ? '' : `<h3>Broken images</h3>${faultTable(images.broken)}`,
  );
}

/** What occurs more than once. */
export function repeatSection(report: DataReport): string {
  const { keys, images } = report;
  const found: [string, RepeatReport][] = [['keys', keys]];
  for (const [kind, { repeats }] of captionEntries(report))
    if (repeats !== undefined) found.push([kindName(kind), repeats]);
  if (images !== undefined) found.push(['image files', images.equalFiles]);
  const numbers = ['all', 'different', 'that repeat', 'to spare'];
  const rows = found.map(([name, { total, distinct, repeatedValues, extra, exact }]) => [
    name,
    count(total),
    ...[distinct, repeatedValues, extra].map((value) => `${exact ? '' : '~ '}${count(value)}`),
  ]);
  const texts = captionEntries(report).flatMap(([kind, { repeats }]) =>
    (repeats?.top ?? []).map(({ text, count: times }) => [kindName(kind), text, count(times)]),
  );
  const groups = [
    ...keys.top.map(({ keys: names, count: times }) => ['equal keys', names.join('; '), count(times)]),
    ...(images?.equalFiles.top ?? []).map(({ keys: names, count: times }) => [
      'equal files',
      names.join(', '),
      count(times),
    ]),
    ...(images?.nearDuplicates.top ?? []).map(({ keys: names, count: times }) => [
      'look alike',
      names.join(', '),
      count(times),
    ]),
  ];
  const near = images?.nearDuplicates;
  const alike =
    near === undefined
      ? ''
      : small(
          `${count(near.groups)} groups of images that look alike, with ${count(near.extra)} to spare, among ${count(near.compared)} ` +
            'that were compared with each other.',
        );
  return section(
    'Repeats',
    table(['', ...numbers], rows, numbers) +
      small(
        'To spare: what would go if one of each were kept. Case and white space of captions do not matter.',
      ) +
      alike,
    groups.length === 0 ? '' : table(['rows with', 'keys, some', 'rows'], groups, ['rows']),
    texts.length === 0
      ? ''
      : `<details><summary>Captions that repeat most</summary>${table(['kind', 'text', 'times'], texts, ['times'])}</details>`,
  );
}

/** Files and rows that cannot be used. */
export function faultSection({ faults, damagedFiles }: DataReport): string {
  const files = damagedFiles.map(({ path, message }) => [path, message]);
  return section(
    'Faults',
    files.length === 0 ? '' : `<h3>Files that cannot be opened</h3>${table(['file', 'reason'], files)}`,
    faults.length === 0 ? '' : `<h3>Rows</h3>${faultTable(faults)}`,
  );
}

function faultTable(groups: readonly FaultGroup[]): string {
  const rows = groups.map(({ count: times, examples }) => [
    count(times),
    examples[0]?.message ?? '',
    examples.map(({ key }) => key).join(', '),
  ]);
  return table(['count', 'reason, of the first', 'such as'], rows, ['count']);
}
