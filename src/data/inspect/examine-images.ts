/** What is measured of images one by one, off the main thread. */
import { createHash } from 'node:crypto';
import type { Metadata } from 'sharp';
import { DataError } from '../../errors.js';
import { decodeImage } from '../image/decode.js';
import { readImageHeader } from '../image/header.js';
import { libvips } from '../image/libvips.js';
import { PixelRoom } from '../image/pixels.js';
import { cropPixels } from '../image/transforms.js';
import type { ImageTrait } from './report.js';

/** Image files one after the other, so that one buffer is moved between threads and none copied. */
export interface ImageJob {
  readonly kind: 'images';
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each file begins in `bytes`, and the end of the last. */
  readonly offsets: readonly number[];
}

/** What was measured of an image. */
export interface ImageFinding {
  /** Why it cannot be decoded; undefined if it can. */
  readonly failure?: string;
  readonly format?: string;
  readonly width?: number;
  readonly height?: number;
  readonly traits: readonly ImageTrait[];
  /** The EXIF orientation, 1 to 8. */
  readonly orientation?: number;
  /** 53 bits of the file's SHA-256. */
  readonly hash: number;
  readonly bytes: number;
}

/** What was measured of n images. */
export interface ImageFindings {
  readonly kind: 'images';
  readonly images: readonly ImageFinding[];
  /** n * THUMB_SIDE * THUMB_SIDE * 3; zeros where the image failed. */
  readonly thumbs: Uint8Array<ArrayBuffer>;
}

/** Side of the small pictures by which near-duplicates are told. */
export const THUMB_SIDE = 32;

/** Bytes of a small picture. */
export const THUMB_BYTES = THUMB_SIDE * THUMB_SIDE * 3;

/** Measures image files; one that cannot be decoded says why, as training would. */
export async function examineImages({ bytes, offsets }: ImageJob): Promise<ImageFindings> {
  const count = offsets.length - 1;
  const thumbs = new Uint8Array(count * THUMB_BYTES);
  const room = new PixelRoom();
  const images: ImageFinding[] = [];
  for (let i = 0; i < count; i++) {
    const file = bytes.subarray(offsets[i], offsets[i + 1]);
    const thumb = thumbs.subarray(i * THUMB_BYTES, (i + 1) * THUMB_BYTES);
    images.push(await examineImage(file, thumb, room));
  }
  return { kind: 'images', images, thumbs };
}

async function examineImage(file: Uint8Array, thumb: Uint8Array, room: PixelRoom): Promise<ImageFinding> {
  const digest = createHash('sha256').update(file).digest();
  const hash = (digest.readUInt32BE(0) & 0x1fffff) * 2 ** 32 + digest.readUInt32BE(4);
  const { traits, ...head } = await headOf(file);
  const finding = { ...head, traits, hash, bytes: file.length };
  try {
    const image = await decodeImage(file, { room });
    cropPixels(image, { left: 0, top: 0, width: image.width, height: image.height }, THUMB_SIDE, thumb);
    return finding;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { ...finding, failure: error.message };
  }
}

/** What the file's head tells, as far as it can be read. */
async function headOf(file: Uint8Array): Promise<Omit<ImageFinding, 'hash' | 'bytes'>> {
  const header = readImageHeader(file);
  if (header === undefined) return { traits: [] };
  let data: Metadata;
  try {
    const sharp = await libvips();
    data = await sharp(file, { limitInputPixels: false }).metadata();
  } catch {
    return { format: header.format, traits: [] }; // decoding says what is wrong
  }
  const traits: ImageTrait[] = [];
  if (data.space === 'b-w' || data.space === 'grey16') traits.push('grey');
  if (data.isPalette === true || header.format === 'gif') traits.push('palette');
  if (header.mode === 'cmyk' || data.space === 'cmyk') traits.push('cmyk');
  // Of a GIF there is always a channel for its transparent colour, needed or not.
  if (data.hasAlpha === true && header.format !== 'gif') traits.push('alpha');
  if ((data.pages ?? 1) > 1 && header.format !== 'tiff') traits.push('animated');
  if (data.depth === 'ushort') traits.push('16-bit');
  return {
    format: header.format,
    width: data.width,
    height: data.height,
    traits,
    ...(data.orientation === undefined ? {} : { orientation: data.orientation }),
  };
}
