/** What a user may set about remote data, with its defaults. */
import { join } from 'node:path';
import { cacheDirectory } from '../../assets/index.js';
import { ConfigError } from '../../errors.js';

/** How S3 and servers that speak its protocol are reached; what is left out comes from AWS's own variables and files. */
export interface S3Options {
  /** URL of the server. Default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile, else Amazon's. */
  readonly endpoint?: string;
  /** Default: `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile, else `us-east-1`. */
  readonly region?: string;
  /** Bucket in the path and not in the host name. Default: true exactly if `endpoint` or its variable is set. */
  readonly pathStyle?: boolean;
  /** Send no credentials, for public buckets. Default: false. */
  readonly anonymous?: boolean;
}

/** Options of `Storage`; all are about remote files. */
export interface StorageOptions {
  /** Folder of the blocks kept on disk; processes may share it. Default: `blocks` in capstan's cache directory. */
  readonly cacheDir?: string;
  /** Most MiB that the kept blocks take; 0 keeps none, else at least 256. Default: 10240. */
  readonly cacheMiB?: number;
  /** Most MiB read ahead of a reader that goes through a file from front to back; 0 is off. Default: 8. */
  readonly readAheadMiB?: number;
  /** Times that a request is sent before its failure counts, at least 1. Default: 6. */
  readonly tries?: number;
  /** Longest pause before the second try; each later one may take twice as long, up to 30 s. Default: 0.5. */
  readonly retryDelaySeconds?: number;
  /** A connection that brings nothing for this long is given up and tried anew. Default: 30. */
  readonly timeoutSeconds?: number;
  readonly s3?: S3Options;
  /** Told once of what works less well than it should, as a full disk. Default: `process.emitWarning`. */
  readonly onWarning?: (message: string) => void;
}

/** `StorageOptions` with nothing left out. */
export type ResolvedStorageOptions = Required<StorageOptions>;

/** Bytes fetched, kept and verified as one. */
export const BLOCK_BYTES = 1_048_576;

/** Smallest cache: each of its 64 parts must hold a few blocks. */
const MIN_CACHE_MIB = 256;

/** @throws ConfigError that names the option that is out of bounds */
export function resolveOptions(options: StorageOptions = {}): ResolvedStorageOptions {
  const resolved: ResolvedStorageOptions = {
    cacheDir: options.cacheDir ?? join(cacheDirectory(), 'blocks'),
    cacheMiB: options.cacheMiB ?? 10_240,
    readAheadMiB: options.readAheadMiB ?? 8,
    tries: options.tries ?? 6,
    retryDelaySeconds: options.retryDelaySeconds ?? 0.5,
    timeoutSeconds: options.timeoutSeconds ?? 30,
    s3: options.s3 ?? {},
    onWarning: options.onWarning ?? ((message) => process.emitWarning(message)),
  };
  requireBound('cacheMiB', resolved.cacheMiB, (v) => v === 0 || v >= MIN_CACHE_MIB, '0 or at least 256');
  requireBound('readAheadMiB', resolved.readAheadMiB, (v) => v >= 0, 'at least 0');
  requireBound('tries', resolved.tries, (v) => Number.isInteger(v) && v >= 1, 'a whole number of at least 1');
  requireBound('retryDelaySeconds', resolved.retryDelaySeconds, (v) => v >= 0, 'at least 0');
  requireBound('timeoutSeconds', resolved.timeoutSeconds, (v) => v > 0, 'above 0');
  return resolved;
}

function requireBound(name: string, value: number, holds: (value: number) => boolean, rule: string): void {
  if (!Number.isFinite(value) || !holds(value)) {
    throw new ConfigError(`storage.${name} is ${value}; it must be ${rule}.`);
  }
}
