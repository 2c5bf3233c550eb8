/** The pass over images. */
import { faultOfImage, type Row, rowFault } from '../schema.js';
import { type ImageFindings, THUMB_BYTES } from './examine-images.js';
import { ImageTally, MAX_COMPARED, topGroups } from './images.js';
import { forEachInOrder, runsOf } from './in-order.js';
import { type InspectWork, readKeys } from './inspect-captions.js';
import { spreadPlaces } from './read-rows.js';
import type { ImageReport } from './report.js';

/** Images read at a time. */
const IMAGES_AT_ONCE = 16;

/**
 * Decodes `count` images of the rows, at even distances.
 *
 * @param places numbers of rows, ascending
 */
export async function inspectImages(
  { all, threads, seed, signal, onProgress }: InspectWork,
  places: readonly number[],
  count: number,
): Promise<ImageReport> {
  const chosen = spreadPlaces(places.length, count, seed, 'images').map((i) => places[i] as number);
  const tally = new ImageTally(Math.ceil(chosen.length / MAX_COMPARED));
  let done = 0;
  await forEachInOrder(
    runsOf(chosen, IMAGES_AT_ONCE),
    threads.capacity,
    async (numbers) => {
      signal?.throwIfAborted();
      const rows = await all.read(numbers, ['key', 'image']);
      const faults = rows.map((row) => rowFault(row) ?? faultOfImage(row));
      const files = rows.flatMap((row, i) => (faults[i] === undefined ? [row.image as Uint8Array] : []));
      const { bytes, offsets } = joined(files);
      return { rows, faults, findings: await threads.images({ kind: 'images', bytes, offsets }) };
    },
    (numbers, { rows, faults, findings }) => {
      addAll(tally, numbers, rows, faults, findings, (row, number) => all.keyOf(row, number));
      done += numbers.length;
      onProgress?.('images', done, chosen.length);
    },
  );
  const near = tally.nearGroups();
  const named = [...topGroups(near).flat(), ...tally.topFiles().flatMap(({ rows }) => rows)];
  const keys = await readKeys(all, named);
  return tally.report(places.length, near, (row) => keys.get(row) as string);
}

function addAll(
  tally: ImageTally,
  numbers: readonly number[],
  rows: readonly Row[],
  faults: readonly (string | undefined)[],
  { images, thumbs }: ImageFindings,
  keyOf: (row: Row, number: number) => string,
): void {
  let at = 0;
  for (const [i, row] of rows.entries()) {
    const number = numbers[i] as number;
    const fault = faults[i];
    if (fault !== undefined) {
      tally.addMissing(keyOf(row, number), fault);
      continue;
    }
    const thumb = thumbs.subarray(at * THUMB_BYTES, (at + 1) * THUMB_BYTES);
    const finding = images[at++];
    if (finding !== undefined) tally.add(keyOf(row, number), number, finding, thumb);
  }
}

function joined(files: readonly Uint8Array[]): { bytes: Uint8Array<ArrayBuffer>; offsets: number[] } {
  const offsets = [0];
  for (const file of files) offsets.push((offsets.at(-1) as number) + file.length);
  const bytes = new Uint8Array(offsets.at(-1) as number);
  for (const [i, file] of files.entries()) bytes.set(file, offsets[i]);
  return { bytes, offsets };
}
