/** Draws one SVG as a picture of the set. */
import sharp from 'sharp';
import { KeyedRandom } from '../../../rng.js';
import { drawGround, type Ground, groundSvg } from '../ground.js';
import { type Look, measureLook, THUMB_SIDE } from './look.js';
import { decodeXml } from './metadata.js';
import { type Box, parseSvg, viewSvg } from './svg.js';

/** A drawing as a picture. */
export interface RenderedClip {
  readonly jpeg: Uint8Array;
  /** RGB of {@link THUMB_SIDE} squared pixels: the drawing on middle grey, whatever its ground. */
  readonly thumb: Uint8Array;
  readonly look: Look;
  readonly ground: ClipGround;
}

/** The ground: white, as most clip art is seen, dark behind white drawings, or a pale ground as emoji have. */
export type ClipGround = { readonly kind: 'white' | 'dark' } | (Ground & { readonly kind: 'pale' });

/** Longest side at which the drawing is looked for on its page, in pixels. */
const SEARCH_SIDE = 256;
/** Share of the drawing's longer side that is left free on each side of it. */
const MARGIN = 0.06;
/** Light from which a drawing would be lost on white. */
const WHITE_FROM = 0.9;

/** Why a drawing cannot be used; anything else that goes wrong is told in librsvg's words. */
export class UnusableClip extends Error {}

/**
 * Draws the part of the page that has something on it, on a square ground. A pure function of its arguments.
 *
 * @throws UnusableClip if the file is no SVG, has no page, or draws nothing; Error if it cannot be drawn.
 */
export async function renderClip(
  bytes: Uint8Array,
  seed: number,
  key: string,
  size: number,
): Promise<RenderedClip> {
  const svg = parseSvg(decodeXml(bytes));
  if (svg === undefined) throw new UnusableClip('has no <svg> element with a page');
  const { width, height } = svg.page;
  const scale = SEARCH_SIDE / Math.max(width, height);
  const searched = await rasterise(
    viewSvg(svg, svg.page, Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))),
  );
  const drawn = drawnBox(searched);
  if (drawn === undefined) throw new UnusableClip('draws nothing on its page');
  const [unitX, unitY] = [width / searched.width, height / searched.height];
  const box: Box = {
    left: svg.page.left + drawn.left * unitX,
    top: svg.page.top + drawn.top * unitY,
    width: drawn.width * unitX,
    height: drawn.height * unitY,
  };
  const longer = Math.max(box.width, box.height);
  const side = longer * (1 + 2 * MARGIN);
  const view = {
    left: box.left + box.width / 2 - side / 2,
    top: box.top + box.height / 2 - side / 2,
    width: side,
    height: side,
  };
  const art = await rasterise(viewSvg(svg, view, size, size));
  const boxShare = (box.width * box.height) / side ** 2;
  const look = measureLook(art.pixels, size, box.width / box.height, boxShare);
  if (look.colours.length === 0) throw new UnusableClip('draws nothing that is opaque');
  const ground = groundOf(seed, key, look);
  const raw = { width: size, height: size, channels: 4 as const };
  const jpeg = await sharp(Buffer.from(groundPicture(ground, size)))
    .composite([{ input: art.pixels, raw }])
    .removeAlpha()
    .jpeg({ quality: 92, chromaSubsampling: '4:4:4' })
    .toBuffer();
  const thumb = await sharp(art.pixels, { raw })
    .flatten({ background: { r: 128, g: 128, b: 128 } })
    .resize(THUMB_SIDE, THUMB_SIDE, { kernel: 'mitchell' })
    .raw()
    .toBuffer();
  return { jpeg, thumb, look, ground };
}

interface Raster {
  readonly pixels: Buffer;
  readonly width: number;
  readonly height: number;
}

async function rasterise(svg: string): Promise<Raster> {
  const bytes = Buffer.from(svg.replace(/^(<\?xml[^>]{0,200}?)encoding\s*=\s*["'][\w-]+["']/, '$1'));
  // librsvg reads no file or address from bytes, so that a drawing shows nothing of this machine.
  const { data, info } = await sharp(bytes, { limitInputPixels: 2 ** 24 })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { pixels: data, width: info.width, height: info.height };
}

/** The pixels that show something; undefined if none does. */
function drawnBox({ pixels, width, height }: Raster): Box | undefined {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if ((pixels[4 * (y * width + x) + 3] as number) < 8) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  return right < 0 ? undefined : { left, top, width: right - left + 1, height: bottom - top + 1 };
}

function groundOf(seed: number, key: string, look: Look): ClipGround {
  if (look.light > WHITE_FROM && look.colourless > 0.9) return { kind: 'dark' };
  const random = new KeyedRandom(seed, key, 'ground');
  return random.uniform() < 0.5 ? { kind: 'white' } : { kind: 'pale', ...drawGround(random) };
}

function groundPicture(ground: ClipGround, size: number): string {
  const elements =
    ground.kind === 'pale'
      ? groundSvg(ground)
      : `<rect width="100" height="100" fill="${ground.kind === 'white' ? '#fff' : '#3a4150'}"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}" viewBox="0 0 100 100">${elements}</svg>`;
}
