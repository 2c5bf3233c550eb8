/**
 * A shard of features: a safetensors file, so that Python reads it too, with the tensors `checksums` (CRC-32 of each
 * record), `keyEnds`, `keyBytes` and `features`, in that order. A record is the features of a row in one variant; all are
 * of one size, so that where each lies is known without looking. safetensors and not Arrow, which has no bfloat16.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { NumericError } from '../../errors.js';
import { encodeFloats, type FeatureDtype } from './half.js';
import { type FeatureSpec, featureSize, recordBytes, specFingerprint } from './spec.js';

/** Why a row has no features: it is broken, or has no caption to make them of. */
export interface MissingFeature {
  readonly broken: boolean;
  readonly reason: string;
}

/** The rows of a shard. */
export interface ShardRows {
  readonly keys: readonly string[];
  /** Rows * variants * features of a sample. What it holds of rows without features does not matter. */
  readonly values: Float32Array;
  /** By row, counted from the shard's first. */
  readonly missing: ReadonlyMap<number, MissingFeature>;
}

/** All of a shard but its features. */
export interface ShardHead {
  /** By record: row * variants + variant. */
  readonly checksums: Uint32Array;
  readonly missing: ReadonlyMap<number, MissingFeature>;
  key(row: number): string;
}

const SAFETENSORS_DTYPE: Readonly<Record<FeatureDtype, string>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
};

const roundUp8 = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** SHA-256 as hexadecimal digits. */
export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * The bytes of a shard's file, and how many of them are its head. Equal rows give equal bytes.
 *
 * @throws NumericError for features that are not finite, or too large for the dtype
 */
export function encodeShard(
  spec: FeatureSpec,
  shard: number,
  { keys, values, missing }: ShardRows,
): { bytes: Uint8Array; headBytes: number } {
  const { variants, shape, dtype } = spec;
  const numRecords = keys.length * variants;
  const encoded = keys.map((key) => Buffer.from(key));
  const keyBytes = roundUp8(encoded.reduce((sum, { length }) => sum + length, 0));
  const dataBytes = numRecords * recordBytes(spec);
  const sizes = {
    checksums: ['U32', [keys.length, variants], numRecords * 4],
    keyEnds: ['U32', [keys.length], keys.length * 4],
    keyBytes: ['U8', [keyBytes], keyBytes],
    features: [
      SAFETENSORS_DTYPE[dtype],
      [keys.length, ...(variants === 1 ? [] : [variants]), ...shape],
      dataBytes,
    ],
  } as const;
  const header: Record<string, unknown> = {
    __metadata__: {
      format: 'capstan-features-1',
      store: specFingerprint(spec),
      shard: String(shard),
      missing: JSON.stringify([...missing].map(([row, { broken, reason }]) => [row, broken, reason])),
    },
  };
  let at = 0;
  const begins: number[] = [];
  for (const [name, [type, tensorShape, bytes]] of Object.entries(sizes)) {
    header[name] = { dtype: type, shape: tensorShape, data_offsets: [at, at + bytes] };
    begins.push(at);
    at += bytes;
  }
  const text = Buffer.from(JSON.stringify(header));
  // The features begin at a multiple of 8 bytes.
  const start = roundUp8(8 + text.length + numRecords * 4 + keys.length * 4) - (numRecords + keys.length) * 4;
  const bytes = new Uint8Array(start + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true);
  bytes.fill(0x20, 8, start);
  bytes.set(text, 8);
  const [checksumsAt, endsAt, keysAt, featuresAt] = begins.map((begin) => start + begin) as [
    number,
    number,
    number,
    number,
  ];
  const view = new DataView(bytes.buffer);
  let end = 0;
  for (const [row, key] of encoded.entries()) {
    bytes.set(key, keysAt + end);
    end += key.length;
    view.setUint32(endsAt + row * 4, end, true);
  }
  const record = recordBytes(spec);
  const size = featureSize(spec);
  for (let row = 0; row < keys.length; row++) {
    for (let variant = 0; variant < variants; variant++) {
      const index = row * variants + variant;
      const out = bytes.subarray(featuresAt + index * record, featuresAt + (index + 1) * record);
      if (!missing.has(row)) {
        const own = values.subarray(index * size, (index + 1) * size);
        checkFinite(own, dtype, keys[row] as string);
        encodeFloats(own, dtype, out);
      }
      view.setUint32(checksumsAt + index * 4, crc32(out), true);
    }
  }
  return { bytes, headBytes: featuresAt };
}

/** The largest number of each dtype, rounding included. */
const LIMITS: Readonly<Record<FeatureDtype, number>> = {
  float32: Number.POSITIVE_INFINITY,
  float16: 65_520,
  bfloat16: (2 - 2 ** -8) * 2 ** 127,
};

function checkFinite(values: Float32Array, dtype: FeatureDtype, key: string): void {
  const limit = LIMITS[dtype];
  for (const value of values) {
    if (Math.abs(value) < limit) continue;
    throw new NumericError(
      Number.isFinite(value)
        ? `The features of ${key} hold ${value}, which is too large for ${dtype}. Store them as float32.`
        : `The features of ${key} hold ${value}; expected finite numbers. Look at the model that made them.`,
    );
  }
}

const metadataSchema = z.object({ store: z.string(), shard: z.string(), missing: z.string() });

const missingSchema = z.array(z.tuple([z.int().nonnegative(), z.boolean(), z.string()]));

/**
 * Reads a head.
 *
 * @param bytes all that comes before the features, its hash known to be right
 * @returns undefined if it is of another store, or another shard
 */
export function decodeHead(
  bytes: Uint8Array,
  spec: FeatureSpec,
  shard: number,
  numRows: number,
): ShardHead | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header: unknown = JSON.parse(Buffer.from(bytes.subarray(8, start)).toString());
  const metadata = metadataSchema.parse((header as { __metadata__: unknown }).__metadata__);
  if (metadata.store !== specFingerprint(spec) || metadata.shard !== String(shard)) return undefined;
  const numRecords = numRows * spec.variants;
  const words = (from: number, count: number): Uint32Array =>
    Uint32Array.from({ length: count }, (_, i) => view.getUint32(from + i * 4, true));
  const keyEnds = words(start + numRecords * 4, numRows);
  const text = Buffer.from(bytes.subarray(start + (numRecords + numRows) * 4));
  const missing = missingSchema.parse(JSON.parse(metadata.missing));
  return {
    checksums: words(start, numRecords),
    missing: new Map(missing.map(([row, broken, reason]) => [row, { broken, reason }])),
    key: (row) => text.toString('utf8', row === 0 ? 0 : keyEnds[row - 1], keyEnds[row]),
  };
}
