/**
 * Repairs and decoding of byte strings that are UTF-8, or nearly. A byte string is a JavaScript string
 * of code units 0 to 255, so that the rules can be regular expressions. Source: ftfy 6.3,
 * `ftfy/fixes.py`, `ftfy/chardata.py` and `ftfy/bad_codecs/utf8_variants.py`.
 */

// UTF-8 that would be valid if a space were the byte A0, which many programs take for a space. Leads
// whose character is likelier to be a word of its own before a space are left out.
const SPACE_FOR_A0 = new RegExp(
  [
    '[\\xc2\\xc3\\xc5\\xce\\xd0\\xd9] ',
    '[\\xe2\\xe3] [\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf]',
    '[\\xe0-\\xe3][\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf] ',
    '\\xf0 [\\x80-\\xbf][\\x80-\\xbf]',
    '\\xf0[\\x80-\\xbf] [\\x80-\\xbf]',
    '\\xf0[\\x80-\\xbf][\\x80-\\xbf] ',
  ].join('|'),
  'g',
);

// "à" as a word of its own, which keeps its space; but not the Portuguese contractions with "a".
const A_GRAVE_WORD = /\xc3 (?! |quele|quela|quilo|s )/g;

/** Puts back byte A0 where a space stands within a UTF-8 sequence. */
export function restoreByteA0(bytes: string): string {
  if (bytes.search(SPACE_FOR_A0) < 0) return bytes;
  return bytes
    .replace(A_GRAVE_WORD, '\xc3\xa0 ')
    .replace(SPACE_FOR_A0, (sequence) => sequence.replaceAll(' ', '\xa0'));
}

// UTF-8 or CESU-8 in which continuation bytes were lost: 1A stands for a lost byte, and once in a
// sequence so may a question mark.
const LOSSY = new RegExp(
  [
    '[\\xc2-\\xdf]\\x1a',
    '[\\xc2-\\xc3][?]',
    '\\xed[\\xa0-\\xaf][\\x1a?]\\xed[\\xb0-\\xbf][\\x1a?\\x80-\\xbf]',
    '\\xed[\\xa0-\\xaf][\\x1a?\\x80-\\xbf]\\xed[\\xb0-\\xbf][\\x1a?]',
    '[\\xe0-\\xef][\\x1a?][\\x1a\\x80-\\xbf]',
    '[\\xe0-\\xef][\\x1a\\x80-\\xbf][\\x1a?]',
    '[\\xf0-\\xf4][\\x1a?][\\x1a\\x80-\\xbf][\\x1a\\x80-\\xbf]',
    '[\\xf0-\\xf4][\\x1a\\x80-\\xbf][\\x1a?][\\x1a\\x80-\\xbf]',
    '[\\xf0-\\xf4][\\x1a\\x80-\\xbf][\\x1a\\x80-\\xbf][\\x1a?]',
    '\\x1a',
  ].join('|'),
  'g',
);

/** Replaces each sequence that lost bytes by the UTF-8 of U+FFFD. */
export function replaceLossySequences(bytes: string): string {
  return bytes.replace(LOSSY, '\xef\xbf\xbd');
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeStrict(bytes: string): string | undefined {
  try {
    return strictUtf8.decode(Buffer.from(bytes, 'latin1'));
  } catch {
    return undefined;
  }
}

// Python's `$`, which also matches before a final line feed; the decoder being followed relies on it.
const END = '(?=\\n?$)';
const CESU8 = `\\xed(?:[\\xa0-\\xaf]|${END})(?:[\\x80-\\xbf]|${END})(?:\\xed|${END})(?:[\\xb0-\\xbf]|${END})(?:[\\x80-\\xbf]|${END})`;
const CESU8_HERE = new RegExp(`^${CESU8}`);
const SPECIAL = new RegExp(
  `\\xc0(?:\\x80|${END})|${CESU8}|\\xed(?:[\\xa0-\\xbf]|${END})(?:[\\x80-\\xbf]|${END})`,
);

/** Decodes UTF-8 that may hold CESU-8 (UTF-16 surrogates as three bytes each) and Java's C0 80 for U+0000. */
function decodeVariants(bytes: string): string | undefined {
  let text = '';
  let rest = bytes;
  while (rest.length > 0) {
    const cutoff = rest.search(SPECIAL);
    if (cutoff !== 0) {
      const plain = decodeStrict(cutoff < 0 ? rest : rest.slice(0, cutoff));
      if (plain === undefined) return undefined;
      text += plain;
      if (cutoff < 0) return text;
      rest = rest.slice(cutoff);
    } else if (rest.startsWith('\xc0')) {
      if (rest.length === 1) return undefined;
      text += '\0';
      rest = rest.slice(2);
    } else if (rest.length < 6) {
      const tail = decodeStrict(rest);
      return tail === undefined ? undefined : text + tail;
    } else {
      if (!CESU8_HERE.test(rest)) return undefined; // a surrogate without its pair
      const bits = (at: number, mask: number): number => rest.charCodeAt(at) & mask;
      text += String.fromCodePoint(
        0x10000 + ((bits(1, 15) << 16) | (bits(2, 63) << 10) | (bits(4, 15) << 6) | bits(5, 63)),
      );
      rest = rest.slice(6);
    }
  }
  return text;
}

/** The text of a UTF-8 byte string, or undefined if it is not UTF-8 (or one of its two variants). */
export function decodeUtf8(bytes: string): string | undefined {
  return /[\xed\xc0]/.test(bytes) ? decodeVariants(bytes) : decodeStrict(bytes);
}
