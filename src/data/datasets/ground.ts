/** The grounds that drawings are set on: pale colours, plain or with a pattern. Lengths are in hundredths of the picture's side. */
import type { KeyedRandom } from '../../rng.js';

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

/** What lies behind the drawings of a picture. */
export interface Ground {
  readonly texture: Texture;
  readonly colour: string;
  /** Second colour, of the gradient's end or the texture's marks. */
  readonly otherColour: string;
  /** CSS colours of the two. */
  readonly fills: readonly [string, string];
  /** Direction of gradients and stripes, in degrees. */
  readonly angle: number;
}

/** The draws that make a ground: {@link drawTexture} gives the first, the rest are uniform in [0, 1). */
export interface GroundDraws extends TextureDraws {
  readonly lightness: number;
  readonly saturation: number;
  readonly otherLightness: number;
  /** Eighth of a turn, 0 to 7. */
  readonly eighth: number;
}

/** A texture and the indices of its two colours. */
export interface TextureDraws {
  readonly texture: Texture;
  readonly colour: number;
  readonly other: number;
}

/** Gradients run to another colour; marks are a shade of the same one. */
export const isBlended = (texture: Texture): boolean => texture === 'gradient' || texture === 'glow';

/** Draws the texture and its colours. */
export function drawTexture(random: KeyedRandom): TextureDraws {
  const texture = textures[random.int(textures.length)] as Texture;
  const colour = random.int(colours.length);
  const other = isBlended(texture) ? (colour + 1 + random.int(colours.length - 1)) % colours.length : colour;
  return { texture, colour, other };
}

/** The ground that the draws make. */
export function makeGround(draws: GroundDraws): Ground {
  const { texture, colour, other } = draws;
  const lightness = 82 + 8 * draws.lightness;
  const saturation = 45 + 35 * draws.saturation;
  const css = (index: number, light: number): string => {
    const hue = (colours[index] as (typeof colours)[number])[1];
    return hue === null
      ? `hsl(0,0%,${light.toFixed(1)}%)`
      : `hsl(${hue},${saturation.toFixed(1)}%,${light.toFixed(1)}%)`;
  };
  return {
    texture,
    colour: (colours[colour] as (typeof colours)[number])[0],
    otherColour: (colours[other] as (typeof colours)[number])[0],
    fills: [
      css(colour, lightness),
      css(other, isBlended(texture) ? 82 + 8 * draws.otherLightness : lightness - 9),
    ],
    angle: draws.eighth * 45,
  };
}

/** Draws a ground. */
export function drawGround(random: KeyedRandom): Ground {
  return makeGround({
    ...drawTexture(random),
    lightness: random.uniform(),
    saturation: random.uniform(),
    otherLightness: random.uniform(),
    eighth: random.int(8),
  });
}

/** The ground as SVG elements that cover 100 by 100 units. */
export function groundSvg({ texture, fills: [first, second], angle }: Ground): string {
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

/** The ground in a sentence, without its full stop. */
export function groundSentence({ texture, colour, otherColour }: Ground): string {
  switch (texture) {
    case 'plain':
      return `The background is one even, pale ${colour} without any pattern on it`;
    case 'gradient':
      return `The background fades softly from pale ${colour} to pale ${otherColour}`;
    case 'glow':
      return `The background glows pale ${colour} in the middle and turns ${otherColour} at the edges`;
    case 'dots':
      return `The background is pale ${colour} with rows of darker ${colour} dots`;
    case 'stripes':
      return `The background is pale ${colour} with darker ${colour} stripes across it`;
    case 'grid':
      return `The background is pale ${colour} with a grid of darker ${colour} lines`;
  }
}
