/** Why a row of a list gave no image. */

/** What keeps a row's image out, as reports and `failures.jsonl` name it. */
export type FailureReason =
  /** The row is damaged, or has no URL. */
  | 'bad-row'
  /** The URL is no address, or none of http and https. */
  | 'bad-url'
  /** An earlier row of the list has the same URL. */
  | 'duplicate-url'
  /** An earlier row of the list has an image of the same bytes. */
  | 'duplicate-bytes'
  /** The address is one of this machine or of a network that is not public. */
  | 'private-address'
  /** The name of the host is not known. */
  | 'dns'
  | 'connect'
  | 'tls'
  /** The connection broke, or ended before the image did. */
  | 'reset'
  | 'timeout'
  | 'too-many-redirects'
  /** What the server sent is not HTTP, or not in an encoding that is known. */
  | 'bad-response'
  /** The server does not want the image to be used. */
  | 'opt-out'
  /** More bytes than `maxBytes`, packed or unpacked. */
  | 'too-large'
  | 'hash-mismatch'
  /** The bytes are of no image that can be read. */
  | 'not-an-image'
  | 'too-small'
  | 'aspect-ratio'
  | 'too-many-pixels'
  /** The server answered with a status that has no image: `http-404`. */
  | `http-${number}`;

/** Reasons that are found after an image has come, which img2dataset counts as `failed_to_resize`. */
const IN_PROCESSING: ReadonlySet<string> = new Set([
  'not-an-image',
  'too-small',
  'aspect-ratio',
  'too-many-pixels',
]);

/** Reasons that no further try changes, or that ask for none. */
const FINAL: ReadonlySet<string> = new Set([
  'bad-row',
  'bad-url',
  'duplicate-url',
  'duplicate-bytes',
  'private-address',
  'opt-out',
]);

/** Whether the image came, and was not usable. */
export const isOfImage = (reason: string): boolean => IN_PROCESSING.has(reason);

/** Whether `retryFailed` leaves a row that failed for this reason alone. */
export const isFinal = (reason: string): boolean => FINAL.has(reason);

/** How a failure may be got over. */
export interface FailureOptions extends ErrorOptions {
  /** A later try may well bring the image. */
  readonly isTemporary?: boolean;
  /** How long the server asks to be left alone. */
  readonly retryAfterMs?: number | undefined;
}

/** An image that could not be had; it is counted, and the download goes on. */
export class ImageFailure extends Error {
  readonly isTemporary: boolean;
  readonly retryAfterMs: number | undefined;

  /** @param message what happened, with what the server said */
  constructor(
    readonly reason: FailureReason,
    message: string,
    options: FailureOptions = {},
  ) {
    super(message, options);
    this.isTemporary = options.isTemporary ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}
