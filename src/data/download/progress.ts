/** How far a download is. */

/** Counts of a download under way. They include what earlier runs did. */
export interface DownloadProgress {
  /** Rows of the list. */
  readonly rows: number;
  /** Rows that are done, with an image or without. */
  readonly done: number;
  readonly images: number;
  /** Rows that were done before this run began. */
  readonly before: number;
  /** Bytes that came in this run. */
  readonly bytes: number;
  /** Rows without an image, by reason. */
  readonly failures: ReadonlyMap<string, number>;
}

/** Counts as rows are done, and tells. */
export class ProgressCounter implements DownloadProgress {
  done = 0;
  images = 0;
  before = 0;
  bytes = 0;
  readonly failures = new Map<string, number>();

  constructor(
    readonly rows: number,
    private readonly onProgress: (progress: DownloadProgress) => void,
  ) {}

  /** Counts rows of shards that are finished. */
  addFinished(images: number, failures: Readonly<Record<string, number>>): void {
    this.images += images;
    let rows = images;
    for (const [reason, count] of Object.entries(failures)) {
      this.failures.set(reason, (this.failures.get(reason) ?? 0) + count);
      rows += count;
    }
    this.done += rows;
    this.before += rows;
    this.onProgress(this);
  }

  /** Counts a row that has its image, or the reason why not. */
  add(reason: string | undefined): void {
    this.done++;
    if (reason === undefined) this.images++;
    else this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
    this.onProgress(this);
  }

  /** A row that had its image turned out to be one too many. */
  demote(reason: string): void {
    this.images--;
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
  }
}
