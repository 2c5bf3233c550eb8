/** What the captions of a data set are, kind by kind. */
import { captionRanges } from '../datasets/caption-tokens.js';
import type { Row, Value } from '../schema.js';
import type { TextFindings } from './examine-texts.js';
import { LengthCounter } from './lengths.js';
import { EntityTally } from './overlap.js';
import { type Repeat, RepeatCounter } from './repeats.js';
import type { CaptionReport, DataReport, TextColumn } from './report.js';
import { VocabularyCounter } from './vocabulary.js';

/** A caption and where it is. */
export interface PlacedText {
  readonly kind: TextColumn;
  readonly row: number;
  readonly text: string;
}

/** The captions of a row in a column, without empty ones. */
export function captionsOf(row: Row, kind: TextColumn): string[] {
  return listed(row[kind] ?? null).filter((text) => text.trim() !== '');
}

const listed = (value: Value): string[] =>
  (Array.isArray(value) ? value : [value]).filter((item) => typeof item === 'string');

class KindTally {
  present = 0;
  empty = 0;
  missing = 0;
  readonly characters = new LengthCounter();
  readonly words = new LengthCounter();
  readonly tokens = new LengthCounter();
  readonly vocabulary = new VocabularyCounter();
  readonly repeats = new RepeatCounter();
}

/** Start and end of text. */
const AROUND = 2;

/** Counts captions; memory is bounded. */
export class CaptionTally {
  readonly #kinds: ReadonlyMap<TextColumn, KindTally>;
  readonly #combinations = new Map<string, { kinds: TextColumn[]; count: number }>();
  readonly #entities = new EntityTally();

  constructor(private readonly columns: readonly TextColumn[]) {
    this.#kinds = new Map(columns.map((kind) => [kind, new KindTally()]));
  }

  /** Counts a row. */
  addRow(row: Row): void {
    const kinds: TextColumn[] = [];
    for (const [kind, tally] of this.#kinds) {
      if (captionsOf(row, kind).length > 0) {
        tally.present++;
        kinds.push(kind);
      } else if (listed(row[kind] ?? null).length > 0) tally.empty++;
      else tally.missing++;
    }
    const name = kinds.join();
    const known = this.#combinations.get(name);
    if (known === undefined) this.#combinations.set(name, { kinds, count: 1 });
    else known.count++;
  }

  /** Takes what was measured of captions. */
  addFindings(texts: readonly PlacedText[], findings: TextFindings): void {
    const { characters, tokens, hashes, numWords, numEntities } = findings;
    for (const [hash, name] of findings.names) this.#entities.name(hash, name);
    const at = { word: 0, pair: 0, entity: 0 };
    for (const [i, { kind, row }] of texts.entries()) {
      const tally = this.#kinds.get(kind) as KindTally;
      const words = numWords[i] as number;
      tally.characters.add(characters[i] as number);
      tally.words.add(words);
      if (tokens !== undefined) tally.tokens.add(tokens[i] as number);
      tally.repeats.add(hashes[i] as number, row);
      const pairs = Math.max(0, words - 1);
      tally.vocabulary.add(
        findings.words.subarray(at.word, at.word + words),
        findings.pairs.subarray(at.pair, at.pair + pairs),
      );
      const entities = numEntities[i] as number;
      this.#entities.add(kind, findings.entities.subarray(at.entity, at.entity + entities));
      at.word += words;
      at.pair += pairs;
      at.entity += entities;
    }
  }

  /** The captions of a kind that occur most, by their hashes and rows. */
  topRepeats(kind: TextColumn, limit: number): Repeat[] {
    return (this.#kinds.get(kind) as KindTally).repeats.top(limit);
  }

  /** @param top the texts of {@link topRepeats} */
  report(
    top: ReadonlyMap<TextColumn, readonly { readonly text: string; readonly count: number }[]>,
  ): Pick<DataReport, 'captions' | 'combinations' | 'entities'> {
    const captions: Partial<Record<TextColumn, CaptionReport>> = {};
    for (const [kind, tally] of this.#kinds) captions[kind] = kindReport(kind, tally, top.get(kind) ?? []);
    const withTexts = this.columns.filter((kind) => (this.#kinds.get(kind) as KindTally).present > 0);
    return {
      captions,
      combinations: [...this.#combinations.values()].sort((a, b) => b.count - a.count),
      entities: this.#entities.report(withTexts),
    };
  }
}

function kindReport(
  kind: TextColumn,
  tally: KindTally,
  top: readonly { readonly text: string; readonly count: number }[],
): CaptionReport {
  const { present, empty, missing } = tally;
  const repeats = tally.repeats.report();
  const counts = { present, empty, missing, texts: repeats.total };
  const [characters, words, tokens] = [tally.characters, tally.words, tally.tokens].map((lengths) =>
    lengths.summary(),
  );
  if (characters === undefined || words === undefined) return counts;
  const over = (context: number): number => tally.tokens.share((length) => length + AROUND > context);
  const [least, most] = (kind === 'captions' ? undefined : captionRanges[kind]) ?? [];
  const usual =
    least === undefined || most === undefined
      ? undefined
      : {
          least,
          ...(most === Number.POSITIVE_INFINITY ? {} : { most }),
          share: tally.tokens.share((length) => length >= least && length <= most),
        };
  return {
    ...counts,
    characters,
    words,
    ...(tokens === undefined ? {} : { tokens, over: { 24: over(24), 77: over(77) } }),
    ...(tokens === undefined || usual === undefined ? {} : { usual }),
    vocabulary: tally.vocabulary.report(),
    repeats: { ...repeats, top },
  };
}
