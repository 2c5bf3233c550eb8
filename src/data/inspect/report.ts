/** What an inspection finds, as it is written to JSON. Shares are 0 to 1. */
import { type CaptionKind, captionKinds, type ShardFormat } from '../schema.js';
import type { EntityExtractor } from './extractors.js';

/** The columns of captions: the kinds, and `captions`, the sentences for retrieval. */
export type TextColumn = CaptionKind | 'captions';

/** Every column of captions, in the order of reports. */
export const textColumns: readonly TextColumn[] = [...captionKinds, 'captions'];

/** Least, middle and most of some numbers. */
export interface Spread {
  readonly least: number;
  readonly median: number;
  readonly most: number;
}

/** Bars of equal width from 0 on; the last has all that is beyond it, too. */
export interface Histogram {
  readonly width: number;
  readonly counts: readonly number[];
}

/** Lengths or sizes. */
export interface LengthSummary extends Spread {
  readonly mean: number;
  readonly p95: number;
  readonly p99: number;
  readonly histogram: Histogram;
}

/** One of the data sets that are inspected together. */
export interface SourceReport {
  readonly path: string;
  /** Undefined if the columns are of no schema that is known. */
  readonly schema?: string;
  readonly rows: number;
  readonly columns: readonly ColumnReport[];
  /** Undefined if the rows are of no files. */
  readonly files?: FilesReport;
}

/** A column. */
export interface ColumnReport {
  readonly name: string;
  /** The data's own column or columns of which it is made, where a schema says so. */
  readonly from?: string | readonly string[];
  /** Types of its values in some rows, the most frequent first: text, bytes, whole number, list of texts … */
  readonly types: readonly string[];
  /** Share of those rows in which it is null. */
  readonly nulls: number;
  /** False for a column that capstan gives no meaning. */
  readonly used: boolean;
}

/** The files of a data set. */
export interface FilesReport {
  readonly formats: Readonly<Partial<Record<ShardFormat, number>>>;
  readonly count: number;
  readonly totalBytes: number;
  readonly bytes: Spread;
  readonly rows: Spread;
  /** Rows of a row group or record batch, on average over each file. Undefined where formats have none. */
  readonly groupRows?: Spread;
  /** Row groups or record batches of all files. */
  readonly groups?: number;
}

/** What a column of captions holds. */
export interface CaptionReport {
  /** Rows with at least one caption that is more than white space. */
  readonly present: number;
  /** Rows whose caption is there but empty. */
  readonly empty: number;
  /** Rows without one. */
  readonly missing: number;
  /** Captions; more than rows where there are several in each. */
  readonly texts: number;
  /** Characters as Unicode code points. Undefined, as what follows, without a caption. */
  readonly characters?: LengthSummary;
  readonly words?: LengthSummary;
  /** CLIP tokens without start and end of text. Undefined if the tokenizer could not be had. */
  readonly tokens?: LengthSummary;
  /** Share of the captions that a context of so many tokens cuts off, start and end of text included. */
  readonly over?: { readonly 24: number; readonly 77: number };
  /** Share of the captions within the usual range of the kind in tokens, both ends included; no most for `dsc+`. */
  readonly usual?: { readonly least: number; readonly most?: number; readonly share: number };
  readonly vocabulary?: VocabularyReport;
  readonly repeats?: CaptionRepeats;
}

/** Different words after some captions. */
export interface VocabularyPoint {
  readonly captions: number;
  readonly words: number;
  readonly vocabulary: number;
}

/** How varied the words of a kind are. */
export interface VocabularyReport extends VocabularyPoint {
  /** Different words over all words. */
  readonly distinct1: number;
  /** Different pairs of neighbouring words over all pairs. */
  readonly distinct2: number;
  /** False if a count of different ones went over 65,536 and is an estimate, with a standard error of 0.8 %. */
  readonly exact: boolean;
  /** After 100, 200, 500, 1,000 … words. */
  readonly byWords: readonly VocabularyPoint[];
  /** After 100, 200, 500, 1,000 … captions. */
  readonly byCaptions: readonly VocabularyPoint[];
}

/** How much of something occurs more than once. */
export interface RepeatReport {
  readonly total: number;
  readonly distinct: number;
  /** Different values that occur more than once. */
  readonly repeatedValues: number;
  /** Occurrences beyond the first of their value. */
  readonly extra: number;
  /** False if there were so many that only a sample of the different values was kept, and counts are estimates. */
  readonly exact: boolean;
}

/** Equal captions of a kind. Case, white space and compatibility forms of characters do not matter. */
export interface CaptionRepeats extends RepeatReport {
  readonly top: readonly { readonly text: string; readonly count: number }[];
}

/** Rows that have something alike, the largest groups first. */
export interface KeyGroups extends RepeatReport {
  /** Some keys of each group, the first and the last at least. */
  readonly top: readonly { readonly keys: readonly string[]; readonly count: number }[];
}

/** The entities of two kinds of captions: the paper's figure 7 where `base` is `alt`. */
export interface OverlapReport {
  readonly kind: TextColumn;
  readonly base: TextColumn;
  readonly onlyKind: number;
  readonly shared: number;
  readonly onlyBase: number;
  /** Share of the entities of `base` that `kind` names too. */
  readonly baseCovered: number;
  /** The most frequent of those that only one of the two has. */
  readonly examples: { readonly onlyKind: readonly string[]; readonly onlyBase: readonly string[] };
}

/** What captions name. */
export interface EntityReport {
  /** Different entities by kind. */
  readonly totals: Readonly<Partial<Record<TextColumn, number>>>;
  /** Of every two kinds. */
  readonly overlaps: readonly OverlapReport[];
  /** False if there were so many that a sample of them was kept, and counts are estimates. */
  readonly exact: boolean;
}

/** Faults of one reason. */
export interface FaultGroup {
  readonly reason: string;
  readonly count: number;
  readonly examples: readonly { readonly key: string; readonly message: string }[];
}

/** What the images are that were looked at. */
export interface ImageReport {
  /** Images that were decoded or tried to. */
  readonly looked: number;
  /** Rows of which they were taken, at even distances. */
  readonly of: number;
  readonly decoded: number;
  /** Those that cannot be decoded or are not there, by reason. */
  readonly broken: readonly FaultGroup[];
  /** Of those broken, how many are too large to be decoded. */
  readonly bombs: number;
  readonly formats: Readonly<Record<string, number>>;
  /** How many are grey, have inks or alpha, move …; an image may count for several. */
  readonly modes: Readonly<Record<ImageTrait, number>>;
  /** Images by the EXIF orientation that they have. */
  readonly orientations: Readonly<Record<string, number>>;
  readonly width?: LengthSummary;
  readonly height?: LengthSummary;
  readonly shortSide?: LengthSummary;
  readonly bytes?: LengthSummary;
  /** Width over height in hundredths. */
  readonly aspect?: LengthSummary;
  /** The most frequent sizes. */
  readonly sizes: readonly { readonly width: number; readonly height: number; readonly count: number }[];
  /** Equal files. */
  readonly equalFiles: KeyGroups;
  readonly nearDuplicates: NearReport;
}

/** What is worth knowing of an image besides its size. */
export type ImageTrait = 'grey' | 'palette' | 'cmyk' | 'alpha' | 'animated' | '16-bit';

/** Images that look alike. */
export interface NearReport {
  /** Images compared with each other. */
  readonly compared: number;
  /** Groups of two or more. */
  readonly groups: number;
  /** Images beyond the first of their group. */
  readonly extra: number;
  readonly top: readonly { readonly keys: readonly string[]; readonly count: number }[];
}

/** A row to look at. */
export interface SampleRow {
  readonly key: string;
  readonly captions: Readonly<Partial<Record<TextColumn, string>>>;
  /** A small JPEG as a data URI; undefined if there is none. */
  readonly picture?: string;
}

/** All that was found. */
export interface DataReport {
  readonly sources: readonly SourceReport[];
  /** Files that cannot be opened; none of their rows are counted. */
  readonly damagedFiles: readonly { readonly path: string; readonly message: string }[];
  readonly rows: number;
  /** Rows whose captions were read; fewer than `rows` if a sample was asked for. */
  readonly rowsRead: number;
  /** Seed of the samples. */
  readonly seed: number;
  readonly extractor: EntityExtractor;
  /** Rows of each split among those read, and what tells it; undefined if nothing does. */
  readonly splits?: {
    readonly by: 'column' | 'file names';
    readonly counts: Readonly<Record<string, number>>;
  };
  readonly captions: Readonly<Partial<Record<TextColumn, CaptionReport>>>;
  /** Rows by the kinds that they have captions of, the most frequent first. */
  readonly combinations: readonly { readonly kinds: readonly TextColumn[]; readonly count: number }[];
  /** Values of columns that tell a language, by column, the most frequent first. */
  readonly languages: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly entities: EntityReport;
  readonly keys: KeyGroups;
  readonly faults: readonly FaultGroup[];
  /** Undefined if none were to be looked at, or there are none. */
  readonly images?: ImageReport;
  readonly samples: readonly SampleRow[];
  /** What limits the report, in sentences. */
  readonly notes: readonly string[];
  /** How long it took. */
  readonly seconds: { readonly captions: number; readonly images: number };
}
