/** Drawings in other colours: the fills near the main colour's hue are turned to another hue, if the art allows it. */
import { colourName } from '../colours.js';
import { drawingColours } from '../emoji/colours.js';
import type { Drawing } from '../emoji/styles.js';

/** Hue in degrees of the colours that things are given. */
export const paints: Readonly<Record<string, number>> = {
  red: 355,
  orange: 28,
  yellow: 52,
  green: 125,
  blue: 222,
  purple: 272,
  pink: 325,
};

/** Turn, in degrees, within which fills belong to the main colour. */
const NEAR = 40;

/**
 * The drawing with its main colour turned to the paint; undefined if that is not what one then sees: the drawing is
 * colourless, or too dark or light for the name, or is that colour already.
 */
export async function recolour(drawing: Drawing, paint: string): Promise<Drawing | undefined> {
  const [main] = await drawingColours(drawing);
  const target = paints[paint];
  if (main === undefined || target === undefined || main === paint) return undefined;
  const fills = [...drawing.body.matchAll(hexColour)].map(([hex]) => hslOf(hex));
  const anchor = fills.find(
    ({ name }) => name === main && name !== 'black' && name !== 'white' && name !== 'grey',
  );
  if (anchor === undefined) return undefined;
  const body = drawing.body.replace(hexColour, (hex) => {
    const { hue, saturation, light } = hslOf(hex);
    const turn = ((hue - anchor.hue + 540) % 360) - 180;
    if (saturation < 0.2 || Math.abs(turn) > NEAR) return hex;
    return hexOf(
      (target + turn * 0.3 + 360) % 360,
      Math.max(saturation, 0.55),
      Math.min(0.68, Math.max(0.3, light)),
    );
  });
  const painted: Drawing = { ...drawing, body };
  return (await drawingColours(painted))[0] === paint ? painted : undefined;
}

const hexColour = /#(?:[0-9a-f]{6}|[0-9a-f]{3})\b/gi;

interface Hsl {
  readonly hue: number;
  readonly saturation: number;
  readonly light: number;
  readonly name: string;
}

function hslOf(hex: string): Hsl {
  const digits =
    hex.length === 4 ? [...hex.slice(1)].map((digit) => digit + digit) : (hex.slice(1).match(/../g) ?? []);
  const [red, green, blue] = digits.map((pair) => Number.parseInt(pair, 16)) as [number, number, number];
  const [r, g, b] = [red / 255, green / 255, blue / 255];
  const high = Math.max(r, g, b);
  const span = high - Math.min(r, g, b);
  const light = high - span / 2;
  const sector =
    span === 0
      ? 0
      : high === r
        ? ((g - b) / span + 6) % 6
        : high === g
          ? (b - r) / span + 2
          : (r - g) / span + 4;
  const saturation = span === 0 ? 0 : span / (1 - Math.abs(2 * light - 1));
  return { hue: sector * 60, saturation, light, name: colourName(red, green, blue) };
}

function hexOf(hue: number, saturation: number, light: number): string {
  const chroma = saturation * Math.min(light, 1 - light);
  const channel = (n: number): string => {
    const k = (n + hue / 30) % 12;
    const value = light - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}
