/**
 * Capital letters and digits as strokes, so that text in pictures looks the same on every machine: a machine's fonts
 * are its own, and some have none. Each glyph is a path in a cell 4 wide and 6 high.
 */
const round = 'M2 0C.7 0 0 1.3 0 3S.7 6 2 6S4 4.7 4 3S3.3 0 2 0Z';
const open = 'M4 1.2C3.5 .3 2.8 0 2.2 0C.8 0 0 1.3 0 3S.8 6 2.2 6C2.8 6 3.5 5.7 4 4.8';
const bowl = 'M0 6V0H2.4A1.7 1.7 0 0 1 2.4 3.4H0';

const glyphs: Readonly<Record<string, string>> = {
  A: 'M0 6L2 0L4 6M.7 4H3.3',
  B: 'M0 0V6H2.6A1.6 1.6 0 0 0 2.6 2.8H0M2.4 2.8A1.4 1.4 0 0 0 2.4 0H0',
  C: open,
  D: 'M0 0V6H1.6C3.2 6 4 4.8 4 3S3.2 0 1.6 0Z',
  E: 'M4 0H0V6H4M0 3H3.2',
  F: 'M4 0H0V6M0 3H3.2',
  G: `${open}V3.2H2.4`,
  H: 'M0 0V6M4 0V6M0 3H4',
  I: 'M.8 0H3.2M2 0V6M.8 6H3.2',
  J: 'M3.4 0V4.2C3.4 5.4 2.7 6 1.8 6S.2 5.4 .2 4.4',
  K: 'M0 0V6M4 0L0 3.6M1.4 2.4L4 6',
  L: 'M0 0V6H4',
  M: 'M0 6V0L2 3.4L4 0V6',
  N: 'M0 6V0L4 6V0',
  O: round,
  P: bowl,
  Q: `${round}M2.6 4.4L4 6.2`,
  R: `${bowl}M2 3.4L4 6`,
  S: 'M3.8 1C3.4 .3 2.8 0 2 0C.9 0 .2 .6 .2 1.5C.2 3.6 3.8 2.4 3.8 4.5C3.8 5.4 3.1 6 2 6C1.2 6 .6 5.7 .2 5',
  T: 'M0 0H4M2 0V6',
  U: 'M0 0V4C0 5.3 .8 6 2 6S4 5.3 4 4V0',
  V: 'M0 0L2 6L4 0',
  W: 'M0 0L1 6L2 2L3 6L4 0',
  X: 'M0 0L4 6M4 0L0 6',
  Y: 'M0 0L2 3L4 0M2 3V6',
  Z: 'M0 0H4L0 6H4',
  '0': `${round}M2.9 1.7L1.1 4.3`,
  '1': 'M.8 1.2L2.2 0V6M.8 6H3.6',
  '2': 'M.2 1.4C.3 .5 1 0 2 0C3.1 0 3.8 .6 3.8 1.6C3.8 3.2 .2 4.4 .2 6H4',
  '3': 'M.3 .8C.8 .3 1.3 0 2 0C3.1 0 3.7 .6 3.7 1.5S3 2.9 1.6 2.9C3.1 2.9 3.9 3.5 3.9 4.4S3.1 6 2 6C1.2 6 .5 5.7 .1 5.1',
  '4': 'M3 6V0L0 4.2H4',
  '5': 'M3.6 0H.6L.3 2.7C.8 2.3 1.4 2.1 2 2.1C3.2 2.1 4 2.9 4 4S3.1 6 1.9 6C1.2 6 .5 5.7 .1 5.2',
  '6': 'M3.4 .4C1.4 -.3 .1 1.4 .1 4A1.9 1.9 0 1 0 3.9 4A1.9 1.9 0 1 0 .1 4',
  '7': 'M0 0H4L1.4 6',
  '8': 'M2 0A1.5 1.4 0 1 0 2 2.8A1.5 1.4 0 1 0 2 0M2 2.8A1.8 1.6 0 1 0 2 6A1.8 1.6 0 1 0 2 2.8',
  '9': 'M3.9 2A1.9 1.9 0 1 0 .1 2A1.9 1.9 0 1 0 3.9 2C3.9 4.6 2.6 6.3 .6 5.6',
};

/** What signs may say besides numbers. */
export const signWords: readonly string[] =
  'SALE,OPEN,HELLO,EXIT,STOP,FRESH,NEW,MENU,CAFE,PARK,HOTEL,FREE,SHOP,LOVE,WELCOME,CLOSED,QUIET,MARKET'.split(
    ',',
  );

/** Width from one letter to the next, in the glyphs' units. */
const ADVANCE = 5.6;
/** Free space around the letters on the sign. */
const PADDING = 2.6;

/** Width over height of a sign with that text. */
export const signAspect = (text: string): number =>
  (text.length * ADVANCE - (ADVANCE - 4) + 2 * PADDING) / (6 + 2 * PADDING);

/** A sign with that text, `height` high, its upper left corner at (left, top). */
export function signSvg(text: string, left: number, top: number, height: number, ink: string): string {
  const scale = height / (6 + 2 * PADDING);
  const [width, full] = [signAspect(text) * (6 + 2 * PADDING), 6 + 2 * PADDING];
  const letters = [...text].map((letter, i) => {
    const path = glyphs[letter];
    return path === undefined
      ? ''
      : `<path transform="translate(${(PADDING + i * ADVANCE).toFixed(2)} ${PADDING})" d="${path}"/>`;
  });
  return (
    `<g transform="translate(${left.toFixed(2)} ${top.toFixed(2)}) scale(${scale.toFixed(4)})">` +
    `<rect x=".3" y=".3" width="${(width - 0.6).toFixed(2)}" height="${(full - 0.6).toFixed(2)}" rx="1.4" fill="#fff" stroke="${ink}" stroke-width=".6"/>` +
    `<g fill="none" stroke="${ink}" stroke-width="1.15" stroke-linecap="round" stroke-linejoin="round">${letters.join('')}</g></g>`
  );
}
