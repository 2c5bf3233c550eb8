/** Rows to look at, with small pictures. */
import sharp from 'sharp';
import { mapConcurrently } from '../map-concurrently.js';
import { type Row, rowFault } from '../schema.js';
import { captionsOf } from './captions.js';
import type { SampleRow, TextColumn } from './report.js';
import type { SeveralSources } from './several.js';

/** Sides of the small pictures at most. */
const SIDE = 200;
const QUALITY = 80;
const AT_ONCE = 4;

/** The rows of these numbers, which must ascend; those that cannot be used are left out. */
export async function sampleRows(
  sources: SeveralSources,
  numbers: readonly number[],
  kinds: readonly TextColumn[],
  withPictures: boolean,
): Promise<SampleRow[]> {
  const rows = await sources.read(numbers, ['key', ...kinds, ...(withPictures ? ['image'] : [])]);
  const usable = rows
    .map((row, i) => ({ row, key: sources.keyOf(row, numbers[i] as number) }))
    .filter(({ row }) => rowFault(row) === undefined);
  return mapConcurrently(usable, AT_ONCE, async ({ row, key }) => {
    const picture = await smallPicture(row);
    const captions = kinds.flatMap((kind) => {
      const text = captionsOf(row, kind).join(' · ');
      return text === '' ? [] : [[kind, text] as const];
    });
    return {
      key,
      captions: Object.fromEntries(captions),
      ...(picture === undefined ? {} : { picture }),
    };
  });
}

/** As training sees it: not turned by EXIF. Undefined if it cannot be decoded. */
async function smallPicture({ image }: Row): Promise<string | undefined> {
  if (!(image instanceof Uint8Array)) return undefined;
  try {
    const jpeg = await sharp(image, { failOn: 'error' })
      .resize(SIDE, SIDE, { fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#fff' })
      .toColourspace('srgb')
      .jpeg({ quality: QUALITY })
      .toBuffer();
    return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
  } catch {
    return undefined; // it is counted as broken where images are measured
  }
}
