/** Colours as one would name them. */

/** Hue, in degrees, at which each name ends. */
const hueNames: readonly (readonly [number, string])[] = [
  [15, 'red'],
  [36, 'orange'],
  [68, 'yellow'],
  [165, 'green'],
  [195, 'teal'],
  [250, 'blue'],
  [290, 'purple'],
  [335, 'pink'],
  [360, 'red'],
];

/** The name of an sRGB colour of channels 0 to 255: hue by name, unless it is too dark, light or dull to have one. */
export function colourName(red: number, green: number, blue: number): string {
  const [r, g, b] = [red / 255, green / 255, blue / 255];
  const high = Math.max(r, g, b);
  const span = high - Math.min(r, g, b);
  const light = high - span / 2;
  if (light < 0.14) return 'black';
  if (light > 0.93) return 'white';
  const saturation = span / (1 - Math.abs(2 * light - 1));
  if (saturation < 0.14) return light > 0.8 ? 'white' : 'grey';
  const sector = high === r ? ((g - b) / span + 6) % 6 : high === g ? (b - r) / span + 2 : (r - g) / span + 4;
  const hue = sector * 60;
  if (hue >= 5 && hue < 45 && light < 0.4) return 'brown';
  if ((hue < 15 || hue >= 335) && light > 0.7) return 'pink';
  return (hueNames.find(([end]) => hue < end) ?? ['', 'red'])[1] as string;
}

/** Share of the opaque pixels from which a colour counts. */
const LEAST_SHARE = 0.03;

/** The colours of RGBA pixels of at least that opacity, half by default, the one that covers most first. */
export function namedColours(pixels: Uint8Array, leastAlpha = 128): string[] {
  const counts = new Map<string, number>();
  let total = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    if ((pixels[at + 3] as number) < leastAlpha) continue;
    const name = colourName(pixels[at] as number, pixels[at + 1] as number, pixels[at + 2] as number);
    counts.set(name, (counts.get(name) ?? 0) + 1);
    total++;
  }
  return [...counts]
    .filter(([, count]) => count >= LEAST_SHARE * total)
    .sort(([, a], [, b]) => b - a)
    .map(([name]) => name);
}
