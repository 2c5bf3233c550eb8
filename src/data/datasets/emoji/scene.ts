/** How a drawing is set into its picture: the ground, the size, the tilt and the place. All keyed draws. */
import sharp from 'sharp';
import { KeyedRandom } from '../../../rng.js';
import { drawTexture, type Ground, groundSvg, isBlended, makeGround } from '../ground.js';
import type { Drawing } from './styles.js';

/** A picture's arrangement. Lengths are in hundredths of the picture's side. */
export interface Scene extends Ground {
  /** Side of the drawing, 56 to 80. */
  readonly side: number;
  /** Clockwise tilt in degrees, -14 to 14. */
  readonly tilt: number;
  /** Centre of the drawing. */
  readonly centre: readonly [x: number, y: number];
}

/** The arrangement of the picture with that key. */
export function sceneOf(seed: number, key: string): Scene {
  const random = new KeyedRandom(seed, key, 'scene');
  const texture = drawTexture(random);
  const lightness = random.uniform();
  const saturation = random.uniform();
  const side = 56 + 24 * random.uniform();
  const tilt = 28 * random.uniform() - 14;
  // The tilted square's half extent plus a margin of 2 stays inside the picture.
  const radians = (Math.abs(tilt) * Math.PI) / 180;
  const room = Math.max(0, 48 - (side / 2) * (Math.cos(radians) + Math.sin(radians)));
  const centre = [50 + room * (2 * random.uniform() - 1), 50 + room * (2 * random.uniform() - 1)] as const;
  // Drawn after the place, and only where there is a second colour: the order is part of what a seed means.
  const otherLightness = isBlended(texture.texture) ? random.uniform() : 0;
  const ground = makeGround({ ...texture, lightness, saturation, otherLightness, eighth: random.int(8) });
  return {
    ...ground,
    side,
    tilt,
    centre,
  };
}

/** The drawing alone as an SVG element of that side. */
export function drawingSvg({ viewBox, body }: Drawing, side: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${side}" height="${side}" viewBox="${viewBox.join(' ')}">${body}</svg>`;
}

/** The whole picture as SVG. */
export function pictureSvg(scene: Scene, drawing: Drawing): string {
  const { side, tilt, centre } = scene;
  const place = `translate(${centre[0].toFixed(3)} ${centre[1].toFixed(3)}) rotate(${tilt.toFixed(3)}) translate(${(-side / 2).toFixed(3)} ${(-side / 2).toFixed(3)})`;
  return (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="100" height="100" viewBox="0 0 100 100">' +
    `${groundSvg(scene)}<g transform="${place}">${drawingSvg(drawing, side.toFixed(3))}</g></svg>`
  );
}

/**
 * Renders the picture as a square JPEG of `size` pixels. JPEG, as pictures on the web are, at a quality where no
 * eye sees it and with whole chroma.
 */
export async function renderPicture(scene: Scene, drawing: Drawing, size: number): Promise<Uint8Array> {
  // 72 dots per inch draw the SVG's 100 units as 100 pixels.
  const picture = sharp(Buffer.from(pictureSvg(scene, drawing)), { density: (72 * size) / 100 });
  return picture
    .resize(size, size, { fit: 'fill' })
    .removeAlpha()
    .jpeg({ quality: 92, chromaSubsampling: '4:4:4' })
    .toBuffer();
}
