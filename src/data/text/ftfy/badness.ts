/**
 * Whether a text looks like mojibake: the heuristic of ftfy 6.3 (`ftfy/badness.py`). The few hundred
 * characters that misread UTF-8 turns into are put in classes, and the rules name the neighbours that
 * real text does not have, such as an accented letter before a currency sign.
 */
import { WHITESPACE } from '../whitespace.js';

// Bodies of regex character classes.
const common = '\xa0\xad´·–-―’…';
const c1 = '\x80-\x9f';
const bad = '¤¦¨ª¬¯¸ºƒ\u02c6\u02c7\u02d8\u02db\u02dc†‡‰⌐◊\ufffd';
const law = '§¶';
const currency = '¢£¥₧€';
const opening = '¡©«¿΄΅‘‚“„•‹\uf8ff';
const closing = '®»\u02dd”›™';
const numeric = '±-³µ¹¼-¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥';
// Letters and signs that faces such as ಠ_ಠ and (°ロ°) are made of.
const faces = '°Ò-ÖÙ-Üò-öø-üŌŐŪŲ';
const upper = 'À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ';
const lower = 'ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ';
const upperOther = 'ÞΆΈ-ΊΌΎΏΑ-ΫЁ-Я';
const lowerOther = 'ά-ωа-џ';
const box = '│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓';

// A pair of these neighbours twice over is UTF-8 Arabic read as Windows-1252.
const arabicPair = `[ØÙ][${common}${currency}${bad}${numeric}${opening}ŸŠ®°µ»]`;
const besideBad = `${lower}${upper}${box}${opening}${closing}${currency}${numeric}${law}`;

const RULES: readonly string[] = [
  `[${c1}]`,
  `[${bad}${besideBad}][${bad}]`,
  `[a-zA-Z][${lowerOther}${upperOther}][${bad}]`,
  `[${bad}][${besideBad}]`,
  `[${lower}${lowerOther}${box}${closing}${currency}${numeric}][${upper}]`,
  `[${box}${closing}${currency}${numeric}][${lower}]`,
  `[${lower}${box}${closing}][${currency}]`,
  `[${WHITESPACE}][${upper}][${currency}]`,
  `[${upper}${box}][${numeric}${law}]`,
  `[${lower}${upper}${box}${currency}${closing}][${opening}][${numeric}]`,
  `[${lower}${upper}${currency}${numeric}${box}${law}][${closing}][${opening}]`,
  `[${currency}${numeric}${box}][${opening}]`,
  `[a-z][${upper}][${opening}${currency}]`,
  `[${box}][${faces}]`,
  `[${lower}${upper}${currency}${numeric}${opening}${closing}${law}][${box}]`,
  `[${box}][${closing}]`,
  `[${lower}${upper}][${opening}${closing}][\\p{L}\\p{N}_]`,
  // œ belongs before a letter.
  '[Œœ][^A-Za-z]',
  `[${upper}]°`,
  // Windows-1252, two bytes.
  `[ÂÃÎÐ][€œŠš¢£Ÿž\\xa0\\xad®©°·»${opening}${closing}–—´]`,
  '×[²³]',
  arabicPair + arabicPair,
  // Windows-1252, the first two of three bytes of South Asian scripts.
  'à[²µ¹¼½¾]',
  // MacRoman.
  '√[±∂†≠®™´≤≥¥µø]',
  '≈[°¢]',
  '‚Ä[ìîïòôúùû†°¢π]',
  '‚[âó][àä°ê]',
  // Windows-1251: general punctuation, then Latin-1 or Cyrillic letters, then twice misread.
  'вЂ',
  `[ВГРС][${c1}${bad}${opening}${closing}${currency}°µ][ВГРС]`,
  'ГўВЂВ[^\\n][A-Za-z ]',
  // Windows-1252: à, á and the no-break space, where the second byte was taken for a space too.
  'Ã[\\xa0¡]',
  `[a-z][${WHITESPACE}]?[ÃÂ] `,
  '^[ÃÂ] ',
  `[a-z.,?!${closing}]Â[ ${opening}${closing}]`,
  // Windows-1253: general punctuation, then Greek letters.
  'β€[™\\xa0Ά\\xad®°]',
  `[ΒΓΞΟ][${c1}${bad}${opening}${closing}${currency}°][ΒΓΞΟ]`,
  // Windows-1257: general punctuation.
  'ā€',
];

const BADNESS = new RegExp(RULES.join('|'), 'u');

/** True if some part of `text` is an unlikely sequence of characters, as misread UTF-8 has. */
export function isBad(text: string): boolean {
  return BADNESS.test(text);
}
