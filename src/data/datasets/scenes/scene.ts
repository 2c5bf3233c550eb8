/**
 * Scenes: what stands where in a picture, drawn by lot, and the picture. Lengths are in hundredths of the picture's
 * side, x to the right and y down.
 */
import sharp from 'sharp';
import { KeyedRandom } from '../../../rng.js';
import type { Split } from '../../schema.js';
import { drawingColours } from '../emoji/colours.js';
import { drawingSvg } from '../emoji/scene.js';
import type { Drawing, Style, StyleArt } from '../emoji/styles.js';
import { drawGround, type Ground, groundSvg } from '../ground.js';
import { signAspect, signSvg, signWords } from './lettering.js';
import { paints, recolour } from './recolour.js';
import { drawThing, type Thing } from './things.js';

/** A square that a thing takes. */
export interface Place {
  readonly x: number;
  readonly y: number;
  readonly side: number;
  /** Degrees, clockwise. */
  readonly tilt: number;
}

/** All things of one name in a scene; they look the same. */
export interface Group {
  readonly thing: Thing;
  readonly drawing: Drawing;
  /** What covers most of it, by name. */
  readonly colour: string;
  /** All its colours by name. */
  readonly colours: readonly string[];
  readonly recoloured: boolean;
  readonly places: readonly Place[];
}

/** A sign with writing. */
export interface Sign {
  readonly text: string;
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** What is in a picture. Groups come in the order in which they were drawn. */
export interface SceneGraph {
  readonly key: string;
  readonly split: Split;
  readonly style: Style;
  readonly ground: Ground;
  readonly groups: readonly Group[];
  readonly sign: Sign | undefined;
}

/** How often a scene has 1 to 6 things. */
const totalShares: readonly number[] = [0.15, 0.2, 0.2, 0.18, 0.15, 0.12];
/** Side of a thing by how many there are. */
const sides: readonly number[] = [60, 44, 37, 32, 29, 27];
/** Share of the scenes with a sign; of the next kind that is of the first one's theme; of things painted anew. */
const SIGN_SHARE = 0.25;
const THEME_SHARE = 0.6;
const PAINT_SHARE = 0.5;
const MARGIN = 2;
const GAP = 1.5;

/** A style's things, with their drawings. */
export interface Cast {
  readonly style: Style;
  readonly drawings: StyleArt['drawings'];
  readonly things: readonly Thing[];
}

/** Draws the scene with that key in one of the casts, which are those of the split. */
export async function drawScene(
  seed: number,
  key: string,
  split: Split,
  casts: readonly Cast[],
): Promise<SceneGraph> {
  const random = new KeyedRandom(seed, key, 'scene');
  const cast = casts[random.int(casts.length)] as Cast;
  const ground = drawGround(random);
  const total = 1 + drawIndex(totalShares, random);
  const kinds = 1 + random.int(Math.min(total, 4));
  const chosen: Thing[] = [];
  while (chosen.length < kinds) {
    const first = chosen[0];
    const related = cast.things.filter(
      ({ theme, name }) => theme === first?.theme && !chosen.some((c) => c.name === name),
    );
    const others = cast.things.filter(({ name }) => !chosen.some((c) => c.name === name));
    chosen.push(drawThing(related.length > 0 && random.uniform() < THEME_SHARE ? related : others, random));
  }
  const counts = chosen.map(() => 1);
  for (let left = total - kinds; left > 0; left--) {
    const which = random.int(kinds);
    counts[which] = (counts[which] as number) + 1;
  }
  const sign = random.uniform() < SIGN_SHARE ? drawSign(random) : undefined;
  const groups: Omit<Group, 'places'>[] = [];
  for (const thing of chosen) groups.push(await dress(thing, cast, random));
  const places = arrange(counts, total, sign, random);
  return {
    key,
    split,
    style: cast.style,
    ground,
    sign,
    groups: groups.map((group, i) => ({ ...group, places: places[i] as Place[] })),
  };
}

function drawIndex(shares: readonly number[], random: KeyedRandom): number {
  let draw = random.uniform();
  const index = shares.findIndex((share) => {
    draw -= share;
    return draw < 0;
  });
  return index < 0 ? shares.length - 1 : index;
}

/** Chooses a thing's drawing: as it is, or painted where such a thing may have any colour and the art allows it. */
async function dress(
  thing: Thing,
  { drawings, style }: Cast,
  random: KeyedRandom,
): Promise<Omit<Group, 'places'>> {
  const original = drawings.get(thing.concept.hexcode) as Drawing;
  const names = Object.keys(paints);
  const paint = names[random.int(names.length)] as string;
  const painted =
    thing.anyColour && random.uniform() < PAINT_SHARE ? await paintOnce(original, paint) : undefined;
  const drawing = painted ?? original;
  const measured = await drawingColours(drawing);
  // Outlines are not what one calls a thing's colour.
  const colours =
    style.name === 'openmoji' && measured.length > 1 ? measured.filter((name) => name !== 'black') : measured;
  return {
    thing,
    drawing,
    colour: colours[0] ?? 'black',
    colours: measured,
    recoloured: painted !== undefined,
  };
}

const paintedDrawings = new WeakMap<Drawing, Map<string, Promise<Drawing | undefined>>>();

/** The painted drawing, made once: measuring its colours takes longer than drawing it. */
function paintOnce(drawing: Drawing, paint: string): Promise<Drawing | undefined> {
  const known = paintedDrawings.get(drawing) ?? new Map<string, Promise<Drawing | undefined>>();
  paintedDrawings.set(drawing, known);
  const painted = known.get(paint) ?? recolour(drawing, paint);
  known.set(paint, painted);
  return painted;
}

function drawSign(random: KeyedRandom): Sign {
  const text =
    random.uniform() < 0.2
      ? String(10 + random.int(90))
      : (signWords[random.int(signWords.length)] as string);
  const height = Math.min(15 + 3 * random.uniform(), 78 / signAspect(text));
  const width = height * signAspect(text);
  const left = MARGIN + 1 + random.uniform() * (100 - 2 * MARGIN - 2 - width);
  const top = random.uniform() < 0.5 ? 3 + 3 * random.uniform() : 97 - height - 3 * random.uniform();
  return { text, left, top, width, height };
}

/** Attempts at a place before everything is made smaller. */
const ATTEMPTS = 80;

/** Places for all things, none over another or the sign. They shrink until they fit. */
function arrange(
  counts: readonly number[],
  total: number,
  sign: Sign | undefined,
  random: KeyedRandom,
): Place[][] {
  const base = counts.map(() => (sides[total - 1] as number) * (0.82 + 0.36 * random.uniform()));
  for (let shrink = sign === undefined ? 1 : 0.9; ; shrink *= 0.92) {
    const taken: Place[] = [];
    const places: Place[][] = [];
    for (const [kind, count] of counts.entries()) {
      const own: Place[] = [];
      for (let i = 0; i < count; i++) {
        const place = findPlace((base[kind] as number) * shrink, taken, sign, random);
        if (place === undefined) break;
        own.push(place);
        taken.push(place);
      }
      places.push(own);
    }
    if (taken.length === total) return places;
  }
}

function findPlace(
  side: number,
  taken: readonly Place[],
  sign: Sign | undefined,
  random: KeyedRandom,
): Place | undefined {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const tilt = 20 * random.uniform() - 10;
    const half = reach({ x: 0, y: 0, side, tilt });
    const room = 50 - MARGIN - half;
    const place: Place = {
      x: 50 + room * (2 * random.uniform() - 1),
      y: 50 + room * (2 * random.uniform() - 1),
      side,
      tilt,
    };
    const free = taken.every((other) => {
      const apart = half + reach(other) + GAP;
      return Math.abs(other.x - place.x) >= apart || Math.abs(other.y - place.y) >= apart;
    });
    if (free && (sign === undefined || clearOf(place, half, sign))) return place;
  }
  return undefined;
}

/** Half the side of the upright square around a tilted thing. */
function reach({ side, tilt }: Place): number {
  const radians = (Math.abs(tilt) * Math.PI) / 180;
  return (side / 2) * (Math.cos(radians) + Math.sin(radians));
}

const clearOf = ({ x, y }: Place, half: number, { left, top, width, height }: Sign): boolean =>
  x + half + GAP <= left ||
  x - half - GAP >= left + width ||
  y + half + GAP <= top ||
  y - half - GAP >= top + height;

/** The picture as SVG. */
export function sceneSvg({ ground, groups, sign }: SceneGraph): string {
  const things = groups.flatMap(({ drawing, places }, group) =>
    places.map(({ x, y, side, tilt }, index) => {
      const own = { ...drawing, body: prefixIds(drawing.body, `t${group}-${index}-`) };
      const place = `translate(${x.toFixed(2)} ${y.toFixed(2)}) rotate(${tilt.toFixed(2)}) translate(${(-side / 2).toFixed(2)} ${(-side / 2).toFixed(2)})`;
      return `<g transform="${place}">${drawingSvg(own, side.toFixed(2))}</g>`;
    }),
  );
  const written = sign === undefined ? '' : signSvg(sign.text, sign.left, sign.top, sign.height, '#22304a');
  return (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="100" height="100" viewBox="0 0 100 100">' +
    `${groundSvg(ground)}${things.join('')}${written}</svg>`
  );
}

/** Gives the identifiers in a drawing, by which its parts refer to one another, names that no other drawing has. */
function prefixIds(body: string, prefix: string): string {
  return body
    .replace(/\bid="([^"]+)"/g, `id="${prefix}$1"`)
    .replace(/url\(#([^)]+)\)/g, `url(#${prefix}$1)`)
    .replace(/href="#([^"]+)"/g, `href="#${prefix}$1"`);
}

/** Renders a scene as a square JPEG of `size` pixels, as the emoji set's pictures are. */
export async function renderScene(scene: SceneGraph, size: number): Promise<Uint8Array> {
  return sharp(Buffer.from(sceneSvg(scene)), { density: (72 * size) / 100 })
    .resize(size, size, { fit: 'fill' })
    .removeAlpha()
    .jpeg({ quality: 92, chromaSubsampling: '4:4:4' })
    .toBuffer();
}
