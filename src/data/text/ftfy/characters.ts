/** Replacements of single characters and short sequences. Source: ftfy 6.3, `ftfy/fixes.py`. */

const LIGATURES: ReadonlyMap<string, string> = new Map([
  ['Ĳ', 'IJ'],
  ['ĳ', 'ij'],
  ['ŉ', 'ʼn'],
  ['Ǳ', 'DZ'],
  ['ǲ', 'Dz'],
  ['ǳ', 'dz'],
  ['Ǆ', 'DŽ'],
  ['ǅ', 'Dž'],
  ['ǆ', 'dž'],
  ['Ǉ', 'LJ'],
  ['ǈ', 'Lj'],
  ['ǉ', 'lj'],
  ['Ǌ', 'NJ'],
  ['ǋ', 'Nj'],
  ['ǌ', 'nj'],
  ['ﬀ', 'ff'],
  ['ﬁ', 'fi'],
  ['ﬂ', 'fl'],
  ['ﬃ', 'ffi'],
  ['ﬄ', 'ffl'],
  ['ﬅ', 'ſt'],
  ['ﬆ', 'st'],
]);
const LIGATURE = new RegExp(`[${[...LIGATURES.keys()].join('')}]`, 'g');

// The block of halfwidth and fullwidth forms, and the ideographic space.
const UNUSUAL_WIDTH = /[\u3000\uff01-\uffef]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed.
const WHOLE_TERMINAL_ESCAPE = /\x1b\[[\p{Nd};]*[a-zA-Z]/gu;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed.
const CONTROL = /[\0-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g;

/** Takes apart the ligatures and digraphs of Latin letters that only typography wants. */
export const fixLatinLigatures = (text: string): string =>
  text.replace(LIGATURE, (char) => LIGATURES.get(char) as string);

/** Halfwidth and fullwidth forms become the usual ones, and U+3000 a space. */
export const fixCharacterWidth = (text: string): string =>
  text.replace(UNUSUAL_WIDTH, (char) => char.normalize('NFKC'));

/** Curly quotation marks become straight ones. */
export const uncurlQuotes = (text: string): string =>
  text.replace(/[\u02bc\u2018-\u201b]/g, "'").replace(/[\u201c-\u201f]/g, '"');

/** Every kind of line break becomes a line feed. */
export const fixLineBreaks = (text: string): string => text.replace(/\r\n|[\r\u2028\u2029\x85]/g, '\n');

/** A surrogate without its pair becomes U+FFFD (pairs are one character in JavaScript already). */
export const fixSurrogates = (text: string): string => text.replace(/\p{Cs}/gu, '\ufffd');

/** Removes terminal escape sequences, such as those for colours. */
export const removeTerminalEscapes = (text: string): string => text.replace(WHOLE_TERMINAL_ESCAPE, '');

/** Removes control characters that neither show nor separate words. */
export const removeControlChars = (text: string): string => text.replace(CONTROL, '');
