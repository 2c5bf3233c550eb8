/** What a download of images is told, and what it is told by default. */
import { readFileSync } from 'node:fs';
import { ConfigError } from '../../errors.js';
import { DEFAULT_MAX_PIXELS } from '../image/decode.js';
import type { Source } from '../sources/source.js';
import { type Resolve, systemResolve } from './addresses.js';
import {
  type DedupeKind,
  type DownloadFormat,
  dedupeKinds,
  downloadFormats,
  type Encoding,
  encodings,
  type ResizeMode,
  resizeModes,
} from './choices.js';
import type { DownloadProgress } from './progress.js';

/** Options that say what the result is. A download that goes on must have the same. */
export interface ResultOptions {
  /** Default `arrow`, which is read fastest. */
  readonly to?: DownloadFormat;
  /** Rows of the list that go into one shard, which holds those of them whose images came. Default 10,000. */
  readonly shardRows?: number;
  /** The split that all rows are of, for the shards' names. Default: their column `split`, or `train`. */
  readonly split?: string;
  /** Pixels that images are brought to. Default 256. */
  readonly size?: number;
  /** Default `no`, or `keep-ratio` with a `size`. */
  readonly resizeMode?: ResizeMode;
  /** Images that are smaller than `size` stay so. */
  readonly onlyIfBigger?: boolean;
  /** Default: the bytes stay as they came, or `jpg` where images are resized. */
  readonly encode?: Encoding;
  /** Of JPEG and WebP, 1 to 100. Default 95. */
  readonly quality?: number;
  /** Leaves bytes as they came where the image is in the format and of the size already. */
  readonly skipReencode?: boolean;
  /** Pixels that the shorter side must have. Default 0. */
  readonly minSize?: number;
  /** Longer side over shorter side. Default: any. */
  readonly maxAspectRatio?: number;
  /** Larger images are refused before they are decoded. Default 178,956,970, as in Pillow. */
  readonly maxPixels?: number;
  /** Bytes of an image file. Default 32 MiB. */
  readonly maxBytes?: number;
  /** `bytes` takes an image of the same bytes only once, as every URL is. Default `none`. */
  readonly dedupe?: DedupeKind;
  /** Holds images against the hashes in the list's column `sha256` or `md5`. */
  readonly verify?: boolean;
  /** Takes images that their servers say are not to be used. */
  readonly ignoreOptOut?: boolean;
}

/** Options that say how images are fetched, which may differ when a download goes on. */
export interface FetchOptions {
  /** Images under way at a time. Default 64. */
  readonly concurrency?: number;
  /** Of these, from one host. Default 8. */
  readonly perHost?: number;
  /** Silence after which a server is given up; a whole image may take six times as long. Default 10. */
  readonly timeoutSeconds?: number;
  /** Further tries after a failure that may pass. Default 2. */
  readonly retries?: number;
  /** Mean pause before the first further try; it doubles with each. Default 1. */
  readonly retryDelaySeconds?: number;
  /** The User-Agent, of which the product's name is also looked for in opt-outs. Default `capstan/VERSION`. */
  readonly userAgent?: string;
  /** Fetches from this machine and from private networks, too. */
  readonly allowPrivate?: boolean;
  /** Finds the addresses of a host. Default: the system's name servers. */
  readonly resolve?: Resolve;
}

/** What to download, and how. */
export interface DownloadImagesOptions extends ResultOptions, FetchOptions {
  /** The list: rows with a `url`. The caller closes it. */
  readonly source: Source;
  /** Directory of the shards: a new one, or that of a download that goes on. */
  readonly out: string;
  /** Tries again what failed in an earlier run; the rows' places stay those of the list. */
  readonly retryFailed?: boolean;
  /** Called whenever a row is done. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Called with what the user should know, as shards that have to be made again. */
  readonly onWarning?: (message: string) => void;
  /** Ends the download; finished shards stay, and the next run goes on. */
  readonly signal?: AbortSignal;
}

/** What shapes the result, with nothing left out. */
export interface ResultPlan {
  readonly to: DownloadFormat;
  readonly shardRows: number;
  readonly split: string | null;
  readonly size: number;
  readonly resizeMode: ResizeMode;
  readonly onlyIfBigger: boolean;
  readonly encode: Encoding | null;
  readonly quality: number;
  readonly skipReencode: boolean;
  readonly minSize: number;
  readonly maxAspectRatio: number | null;
  readonly maxPixels: number;
  readonly maxBytes: number;
  readonly dedupe: DedupeKind;
  /** The column with hashes of the images. */
  readonly verify: 'sha256' | 'md5' | null;
  readonly ignoreOptOut: boolean;
}

/** How images are fetched, with nothing left out. */
export interface FetchPlan {
  readonly concurrency: number;
  readonly perHost: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly retryDelayMs: number;
  readonly userAgent: string;
  readonly allowPrivate: boolean;
  readonly resolve: Resolve;
}

const MIB = 1_048_576;

/** @throws ConfigError that names the option that is out of bounds, or what the list lacks */
export function resolveResult(source: Source, options: ResultOptions): ResultPlan {
  if (!source.columns.includes('url')) {
    throw new ConfigError(
      `${source.path}: its rows have no URLs; present are ${source.columns.join(', ')}. Say which column has ` +
        'them: --column url=NAME.',
    );
  }
  const resizeMode = options.resizeMode ?? (options.size === undefined ? 'no' : 'keep-ratio');
  const plan: ResultPlan = {
    to: oneOf('to', options.to ?? 'arrow', downloadFormats),
    shardRows: whole('shard-rows', options.shardRows ?? 10_000, 1, 1_000_000),
    split: options.split ?? null,
    size: whole('size', options.size ?? 256, 1, 16_383),
    resizeMode: oneOf('resize-mode', resizeMode, resizeModes),
    onlyIfBigger: options.onlyIfBigger ?? false,
    encode:
      options.encode === undefined && resizeMode === 'no'
        ? null
        : oneOf('encode', options.encode ?? 'jpg', encodings),
    quality: whole('quality', options.quality ?? 95, 1, 100),
    skipReencode: options.skipReencode ?? false,
    minSize: whole('min-size', options.minSize ?? 0, 0, 1_000_000),
    maxAspectRatio: options.maxAspectRatio ?? null,
    maxPixels: whole('max-pixels', options.maxPixels ?? DEFAULT_MAX_PIXELS, 1, 2 ** 40),
    maxBytes: whole('max-bytes', options.maxBytes ?? 32 * MIB, 1, 1024 * MIB),
    dedupe: oneOf('dedupe', options.dedupe ?? 'none', dedupeKinds),
    verify: options.verify === true ? hashColumn(source) : null,
    ignoreOptOut: options.ignoreOptOut ?? false,
  };
  if (plan.maxAspectRatio !== null && !(plan.maxAspectRatio >= 1)) {
    throw new ConfigError(`--max-aspect-ratio is ${plan.maxAspectRatio}; expected a number of at least 1.`);
  }
  if (plan.split !== null && !/^[^-/.][^-/]*$/.test(plan.split)) {
    throw new ConfigError(`--split is '${plan.split}'; a split that names shards has no dash and no slash.`);
  }
  return plan;
}

/** @throws ConfigError that names the option that is out of bounds */
export function resolveFetch(options: FetchOptions): FetchPlan {
  const userAgent = options.userAgent ?? `capstan/${version()}`;
  if (!/^[\x20-\x7e]+$/.test(userAgent)) {
    throw new ConfigError(`--user-agent is '${userAgent}'; expected plain text, as in a header.`);
  }
  return {
    concurrency: whole('concurrency', options.concurrency ?? 64, 1, 10_000),
    perHost: whole('per-host', options.perHost ?? 8, 1, 10_000),
    timeoutMs: 1000 * positive('timeout', options.timeoutSeconds ?? 10),
    retries: whole('retries', options.retries ?? 2, 0, 100),
    retryDelayMs: 1000 * positive('retry-delay', options.retryDelaySeconds ?? 1),
    userAgent,
    allowPrivate: options.allowPrivate ?? false,
    resolve: options.resolve ?? systemResolve(),
  };
}

function hashColumn({ path, columns }: Source): 'sha256' | 'md5' {
  const found = (['sha256', 'md5'] as const).find((name) => columns.includes(name));
  if (found !== undefined) return found;
  throw new ConfigError(
    `${path}: --verify needs a column sha256 or md5 with hashes of the images; present are ${columns.join(', ')}.`,
  );
}

function oneOf<T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  throw new ConfigError(`--${name} is '${value}'; expected one of ${allowed.join(', ')}.`);
}

function whole(name: string, value: number, low: number, high: number): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new ConfigError(`--${name} is ${value}; expected a whole number from ${low} to ${high}.`);
}

function positive(name: string, value: number): number {
  if (value > 0 && value <= 86_400) return value;
  throw new ConfigError(`--${name} is ${value}; expected seconds above 0, at most 86400.`);
}

function version(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
