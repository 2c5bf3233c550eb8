/** What a download's options may be chosen from. */

/** Formats of the shards that a download writes. */
export const downloadFormats = ['arrow', 'parquet', 'webdataset'] as const;

/** One of {@link downloadFormats}. */
export type DownloadFormat = (typeof downloadFormats)[number];

/** What tells images apart besides their URLs. */
export const dedupeKinds = ['none', 'bytes'] as const;

/** One of {@link dedupeKinds}. */
export type DedupeKind = (typeof dedupeKinds)[number];

/**
 * How images are brought to a size: not at all; the longer side, the rest filled up with white (`border`) or not
 * (`keep-ratio-largest`); the shorter side, the rest cut off (`center-crop`) or not (`keep-ratio`).
 */
export const resizeModes = ['no', 'border', 'keep-ratio', 'keep-ratio-largest', 'center-crop'] as const;

/** One of {@link resizeModes}. */
export type ResizeMode = (typeof resizeModes)[number];

/** Formats that images are encoded in. */
export const encodings = ['jpg', 'png', 'webp'] as const;

/** One of {@link encodings}. */
export type Encoding = (typeof encodings)[number];
