/** How a drawing is set into its picture: the ground, the size, the tilt and the place. All keyed draws. */
import sharp from 'sharp';
import { KeyedRandom } from '../../../rng.js';
import type { Drawing } from './styles.js';

/** The grounds' colours: name and hue in degrees; grey has none. */
const colours: readonly (readonly [name: string, hue: number | null])[] = [
  ['pink', 340],
  ['peach', 20],
  ['yellow', 50],
  ['lime', 80],
  ['green', 130],
  ['teal', 172],
  ['sky blue', 200],
  ['blue', 225],
  ['lavender', 265],
  ['purple', 290],
  ['grey', null],
];

/** What the ground shows. */
export type Texture = 'plain' | 'gradient' | 'glow' | 'dots' | 'stripes' | 'grid';

const textures: readonly Texture[] = [
  'plain',
  'plain',
  'gradient',
  'gradient',
  'glow',
  'dots',
  'stripes',
  'grid',
];

/** A picture's arrangement. Lengths are in hundredths of the picture's side. */
export interface Scene {
  readonly texture: Texture;
  readonly colour: string;
  /** Second colour, of the gradient's end or the texture's marks. */
  readonly otherColour: string;
  /** CSS colours of the two. */
  readonly fills: readonly [string, string];
  /** Direction of gradients and stripes, in degrees. */
  readonly angle: number;
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
  const texture = textures[random.int(textures.length)] as Texture;
  const colour = random.int(colours.length);
  // Gradients run to another colour; marks are a shade of the same one.
  const blended = texture === 'gradient' || texture === 'glow';
  const other = blended ? (colour + 1 + random.int(colours.length - 1)) % colours.length : colour;
  const lightness = 82 + 8 * random.uniform();
  const saturation = 45 + 35 * random.uniform();
  const css = (index: number, light: number): string => {
    const hue = (colours[index] as (typeof colours)[number])[1];
    return hue === null
      ? `hsl(0,0%,${light.toFixed(1)}%)`
      : `hsl(${hue},${saturation.toFixed(1)}%,${light.toFixed(1)}%)`;
  };
  const side = 56 + 24 * random.uniform();
  const tilt = 28 * random.uniform() - 14;
  // The tilted square's half extent plus a margin of 2 stays inside the picture.
  const radians = (Math.abs(tilt) * Math.PI) / 180;
  const room = Math.max(0, 48 - (side / 2) * (Math.cos(radians) + Math.sin(radians)));
  const centre = [50 + room * (2 * random.uniform() - 1), 50 + room * (2 * random.uniform() - 1)] as const;
  return {
    texture,
    colour: (colours[colour] as (typeof colours)[number])[0],
    otherColour: (colours[other] as (typeof colours)[number])[0],
    fills: [css(colour, lightness), css(other, blended ? 82 + 8 * random.uniform() : lightness - 9)],
    angle: random.int(8) * 45,
    side,
    tilt,
    centre,
  };
}

function groundSvg({ texture, fills: [first, second], angle }: Scene): string {
  const cover = '<rect width="100" height="100" fill=';
  const marks = (size: number, mark: string): string =>
    `<defs><pattern id="ground" width="${size}" height="${size}" patternUnits="userSpaceOnUse" patternTransform="rotate(${angle})">` +
    `${mark}</pattern></defs>${cover}"${first}"/>${cover}"url(#ground)"/>`;
  const stops = `<stop stop-color="${first}"/><stop offset="1" stop-color="${second}"/>`;
  switch (texture) {
    case 'plain':
      return `${cover}"${first}"/>`;
    case 'gradient':
      return `<defs><linearGradient id="ground" gradientTransform="rotate(${angle} .5 .5)">${stops}</linearGradient></defs>${cover}"url(#ground)"/>`;
    case 'glow':
      return `<defs><radialGradient id="ground" r=".75">${stops}</radialGradient></defs>${cover}"url(#ground)"/>`;
    case 'dots':
      return marks(12, `<circle cx="6" cy="6" r="2.2" fill="${second}"/>`);
    case 'stripes':
      return marks(14, `<rect width="7" height="14" fill="${second}"/>`);
    case 'grid':
      return marks(12, `<path d="M0 0H12M0 0V12" stroke="${second}" stroke-width="3"/>`);
  }
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
