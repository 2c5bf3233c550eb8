/** What a user may set about remote data, with its defaults. */
import { join } from 'node:path';
import { z } from 'zod';
import { cacheDirectory } from '../../assets/index.js';
import { field } from '../../config/field.js';
import { ConfigError } from '../../errors.js';

/** Smallest cache: each of its 64 parts must hold a few blocks. */
const MIN_CACHE_MIB = 256;

const atLeast = (least: number) => z.number().min(least, { error: `be at least ${least}` });

const s3Schema = z.strictObject({
  endpoint: field(
    z.string().min(1).nullable().default(null),
    "URL of a server that speaks S3's protocol; null goes by AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and the profile, else it is Amazon's.",
  ),
  region: field(
    z.string().min(1).nullable().default(null),
    'Region; null goes by AWS_REGION, AWS_DEFAULT_REGION and the profile, else it is us-east-1.',
  ),
  pathStyle: field(
    z.boolean().nullable().default(null),
    'Whether the bucket is in the path and not in the host name; null: if an endpoint is set.',
  ),
  anonymous: field(z.boolean().default(false), 'Send no credentials, for public buckets.'),
});

/** The section of a configuration: bounds and defaults of all options, here and nowhere else. */
export const storageSchema = z.strictObject({
  cacheDir: field(
    z.string().min(1).nullable().default(null),
    "Folder of the blocks of remote files that are kept on disk, which runs may share; null: 'blocks' in capstan's cache directory.",
  ),
  cacheMiB: field(
    z
      .number()
      .refine((value) => value === 0 || value >= MIN_CACHE_MIB, {
        error: `be 0 or at least ${MIN_CACHE_MIB}`,
      })
      .default(10_240),
    `Most that the kept blocks take: at least ${MIN_CACHE_MIB}, or 0 to keep none.`,
    'MiB',
  ),
  unpackedMiB: field(
    atLeast(1).default(102_400),
    "Most that the unpacked copies of gzip files take, in 'unpacked' of capstan's cache directory.",
    'MiB',
  ),
  readAheadMiB: field(
    atLeast(0).default(8),
    'Most that is read ahead of a reader that goes through a remote file from front to back; 0 is off.',
    'MiB',
  ),
  tries: field(
    z
      .int({ error: 'be a whole number of at least 1' })
      .min(1, { error: 'be a whole number of at least 1' })
      .default(6),
    'Times that a request is sent before its failure counts.',
    'requests',
  ),
  retryDelaySeconds: field(
    atLeast(0).default(0.5),
    'Longest pause before the second try; each later one may take twice as long, up to 30 s.',
    'seconds',
  ),
  timeoutSeconds: field(
    z.number().gt(0, { error: 'be above 0' }).default(30),
    'A connection that brings nothing, or next to nothing, for this long is given up and tried anew.',
    'seconds',
  ),
  s3: field(s3Schema.prefault({}), 'How S3 and servers that speak its protocol are reached.'),
});

/** The section of a configuration, its defaults applied. */
export type StorageConfig = z.infer<typeof storageSchema>;

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

/** Options of `Storage`; all but `unpackedMiB` are about remote files. */
export interface StorageOptions {
  /** Folder of the blocks kept on disk; processes may share it. Default: `blocks` in capstan's cache directory. */
  readonly cacheDir?: string;
  /** Most MiB that the kept blocks take; 0 keeps none, else at least 256. Default: 10240. */
  readonly cacheMiB?: number;
  /** Most MiB that unpacked copies of gzip files take, those of other processes included. Default: 102400. */
  readonly unpackedMiB?: number;
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

/** A configuration's section as `Storage` takes it. */
export function storageOptions({ cacheDir, s3, ...numbers }: StorageConfig): StorageOptions {
  const { endpoint, region, pathStyle, anonymous } = s3;
  return {
    ...numbers,
    ...(cacheDir === null ? {} : { cacheDir }),
    s3: {
      anonymous,
      ...(endpoint === null ? {} : { endpoint }),
      ...(region === null ? {} : { region }),
      ...(pathStyle === null ? {} : { pathStyle }),
    },
  };
}

/** @throws ConfigError that names the option that is out of bounds */
export function resolveOptions({ onWarning, ...given }: StorageOptions = {}): ResolvedStorageOptions {
  const parsed = storageSchema.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues as [z.core.$ZodIssue];
    const value = issue.path.reduce((at: unknown, key) => (at as Record<PropertyKey, unknown>)?.[key], given);
    throw new ConfigError(`storage.${issue.path.join('.')} is ${String(value)}; it must ${issue.message}.`);
  }
  const { cacheDir } = parsed.data;
  return {
    ...(storageOptions(parsed.data) as Required<StorageOptions>),
    cacheDir: cacheDir ?? join(cacheDirectory(), 'blocks'),
    onWarning: onWarning ?? ((message) => process.emitWarning(message)),
  };
}
