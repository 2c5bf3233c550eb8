/** libvips (through sharp), loaded when the first image needs it: that takes a thread a tenth of a second, and JPEGs never do. */
import type { default as Sharp } from 'sharp';

let loading: Promise<typeof Sharp> | undefined;

/** The library, set to decode images that are small and many: side by side by worker threads, and none twice. */
export function libvips(): Promise<typeof Sharp> {
  loading ??= import('sharp').then(({ default: sharp }) => {
    sharp.concurrency(1);
    sharp.cache(false);
    return sharp;
  });
  return loading;
}
