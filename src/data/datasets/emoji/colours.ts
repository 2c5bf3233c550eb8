/** The colours of a drawing, as one would name them. */
import sharp from 'sharp';
import { namedColours } from '../colours.js';
import { drawingSvg } from './scene.js';
import type { Drawing } from './styles.js';

/** Side at which colours are counted, in pixels: parts too small to show there have no name in a caption. */
const SIDE = 32;

const known = new WeakMap<Drawing, Promise<readonly string[]>>();

/** The colours that a drawing shows, the one that covers most of it first. */
export function drawingColours(drawing: Drawing): Promise<readonly string[]> {
  let colours = known.get(drawing);
  if (colours === undefined) {
    colours = measureColours(drawing);
    known.set(drawing, colours);
  }
  return colours;
}

async function measureColours(drawing: Drawing): Promise<readonly string[]> {
  const pixels = await sharp(Buffer.from(drawingSvg(drawing, String(SIDE))))
    .ensureAlpha()
    .raw()
    .toBuffer();
  return namedColours(pixels);
}
