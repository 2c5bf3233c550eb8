/** A process of {@link RenderPool}: draws the files that it is sent. librsvg may crash it, or take all its memory. */
import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { type RenderedClip, renderClip, UnusableClip } from './render.js';

/** What the process is asked. */
export interface RenderRequest {
  readonly key: string;
  readonly path: string;
  readonly seed: number;
  readonly size: number;
}

/** What it answers: the picture, or why there is none. */
export type RenderReply = { readonly clip: RenderedClip } | { readonly reason: string };

/** Bytes of memory at which the process gives a drawing up. */
const MAX_MEMORY = 1024 ** 3;
/** Milliseconds between looks at the memory. */
const WATCH_MS = 50;

/** Longest reason, in characters: librsvg's may hold parts of the file. */
const MAX_REASON = 200;

if (process.send !== undefined) {
  sharp.concurrency(1);
  sharp.cache(false);
  const reply = (message: RenderReply, then?: () => void): void => {
    process.send?.(message, undefined, undefined, then);
  };
  process.on('message', ({ key, path, seed, size }: RenderRequest) => {
    const watch = setInterval(() => {
      if (process.memoryUsage.rss() < MAX_MEMORY) return;
      clearInterval(watch);
      reply({ reason: `needs more than ${MAX_MEMORY / 1024 ** 2} MiB to draw` }, () => process.exit(1));
    }, WATCH_MS);
    readFile(path)
      .then((bytes) => renderClip(bytes, seed, key, size))
      .then(
        (clip) => reply({ clip }),
        (error: Error) => {
          const what = error.message.replace(/\s+/g, ' ').trim().slice(0, MAX_REASON);
          reply({ reason: error instanceof UnusableClip ? what : `cannot be drawn: ${what}` });
        },
      )
      .finally(() => clearInterval(watch));
  });
  process.on('disconnect', () => process.exit());
}
