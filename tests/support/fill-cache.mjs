// Fills a disk cache until it is killed. Arguments: directory, bound in bytes.
import { DiskCache, fileKey } from '../../dist/data/storage/disk-cache.js';

const [directory, maxBytes] = process.argv.slice(2);
const cache = new DiskCache(directory, Number(maxBytes), (text) => process.stderr.write(`${text}\n`));
const file = fileKey('http://server/file', 'v1');

/** As `noise` of wheel-index.ts. */
function noise(length, seed) {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

for (let i = 0; ; i = (i + 8) % 4096) {
  const some = Array.from({ length: 8 }, (_, j) => i + j);
  await Promise.all(some.map((index) => cache.put({ file, index, bytes: 1000 }, noise(1000, index + 1))));
  if (i === 0) process.send?.('filling');
}
