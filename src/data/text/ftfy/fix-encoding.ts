/**
 * Finds text that was UTF-8 but was read in another encoding, and reads it again as UTF-8. Source:
 * ftfy 6.3, `ftfy/__init__.py` (`fix_encoding`) and `ftfy/chardata.py`.
 */
import { isBad } from './badness.js';
import { c1AsWindows1252, ENCODINGS } from './encodings.js';
import { decodeUtf8, replaceLossySequences, restoreByteA0 } from './utf8-bytes.js';

// What bytes low to high look like in any of the encodings that resemble Latin-1, as a class body.
function readings(low: number, high: number, without = ''): string {
  const chars = new Set<string>();
  for (const { name, upperHalf } of ENCODINGS) {
    if (name !== 'latin-1' && !name.startsWith('windows-')) continue;
    for (const char of upperHalf.slice(low - 0x80, high - 0x80 + 1)) chars.add(char);
  }
  return [...chars].filter((char) => !without.includes(char)).join('');
}

const continuation = readings(0x80, 0xbf);
// Marks that stand for themselves beside mojibake as often as not.
const continuationStrict = readings(0x80, 0xbf, '–—―‘’‚“”„•…');
const leadOf2 = readings(0xc2, 0xdf);
const leadOf3 = readings(0xe0, 0xef);
const leadOf4 = 'ðóđğšπσру';

// Runs of characters that look like UTF-8 sequences; a space may stand for byte A0.
const EMBEDDED = new RegExp(
  `(?<![${continuationStrict}])(?:[${leadOf2}][ ${continuation}]|[${leadOf3}][ ${continuation}]{2}|[${leadOf4}][ ${continuation}]{3})+`,
  'gu',
);

const ASCII = /^[\0-\x7f]*$/;
const C1 = /[\x80-\x9f]/g;

/** Reads the C1 control characters of `text` as Windows-1252, as browsers do. */
export function fixC1Controls(text: string): string {
  return text.replace(C1, c1AsWindows1252);
}

function fixEmbedded(text: string): string {
  return text.replace(EMBEDDED, (run) => {
    // Shorter than the whole, or the recursion would not end.
    return run.length < text.length && isBad(run) ? fixEncoding(run) : run;
  });
}

function fixOnce(text: string): string {
  if (ASCII.test(text) || !isBad(text)) return text;
  for (const encoding of ENCODINGS) {
    let bytes = encoding.encode(text);
    if (bytes === undefined) continue;
    // In MacRoman this would take an en dash and a space for a sequence.
    if (encoding.name !== 'macroman') bytes = restoreByteA0(bytes);
    if (encoding.sloppy) bytes = replaceLossySequences(bytes);
    const decoded = decodeUtf8(bytes);
    if (decoded !== undefined) return decoded;
  }
  const fixed = fixEmbedded(text);
  if (fixed !== text) return fixed;
  // What cannot be decoded may still be Windows-1252 that was read as Latin-1.
  return fixC1Controls(text);
}

/** Undoes every layer of misread UTF-8 that can be told with confidence; other text is unchanged. */
export function fixEncoding(text: string): string {
  let current = text;
  for (;;) {
    const fixed = fixOnce(current);
    if (fixed === current) return fixed;
    current = fixed;
  }
}
