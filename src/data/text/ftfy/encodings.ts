/**
 * The single-byte encodings that text is found to have been misread in, as strings of the characters
 * that bytes 0x80 to 0xFF stand for. Each agrees with ASCII below 0x80.
 *
 * The Windows encodings are "sloppy": an unassigned byte is the Latin-1 control character of the same
 * number, as browsers have it, and byte 0x1A is the replacement character U+FFFD, which marks a
 * character that an earlier program lost.
 */

const latin1 = Array.from({ length: 128 }, (_, i) => String.fromCharCode(128 + i)).join('');
const c1 = latin1.slice(0, 32);

const windows1252 = `€\x81‚ƒ„…†‡\u02c6‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—\u02dc™š›œ\x9džŸ${latin1.slice(32)}`;
const windows1251 =
  'ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\x98™љ›њќћџ\xa0ЎўЈ¤Ґ¦§Ё©Є«¬\xad®Ї°±Ііґµ¶·ё№є»јЅѕї' +
  'АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя';
const latin2Letters = 'ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙';
const windows1250 =
  '€\x81‚\x83„…†‡\x88‰Š‹ŚŤŽŹ\x90‘’“”•–—\x98™š›śťžź' +
  `\xa0\u02c7\u02d8Ł¤Ą¦§¨©Ş«¬\xad®Ż°±\u02dbł´µ¶·¸ąş»Ľ\u02ddľż${latin2Letters}`;
const windows1253 =
  '€\x81‚ƒ„…†‡\x88‰\x8a‹\x8c\x8d\x8e\x8f\x90‘’“”•–—\x98™\x9a›\x9c\x9d\x9e\x9f' +
  '\xa0΅Ά£¤¥¦§¨©ª«¬\xad®―°±²³΄µ¶·ΈΉΊ»Ό½ΎΏ' +
  'ΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡÒΣΤΥΦΧΨΩΪΫάέήίΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώÿ';
const windows1254 =
  '€\x81‚ƒ„…†‡\u02c6‰Š‹Œ\x8d\x8e\x8f\x90‘’“”•–—\u02dc™š›œ\x9d\x9eŸ' +
  `${latin1.slice(32, 80)}ĞÑÒÓÔÕÖ×ØÙÚÛÜİŞßàáâãäåæçèéêëìíîïğñòóôõö÷øùúûüışÿ`;
const windows1257 =
  '€\x81‚\x83„…†‡\x88‰\x8a‹\x8c¨\u02c7¸\x90‘’“”•–—\x98™\x9a›\x9c¯\u02db\x9f' +
  '\xa0¡¢£¤¥¦§Ø©Ŗ«¬\xad®Æ°±²³´µ¶·ø¹ŗ»¼½¾æ' +
  'ĄĮĀĆÄÅĘĒČÉŹĖĢĶĪĻŠŃŅÓŌÕÖ×ŲŁŚŪÜŻŽßąįāćäåęēčéźėģķīļšńņóōõö÷ųłśūüżž˙';
const iso88592 = `${c1}\xa0Ą\u02d8Ł¤ĽŚ§¨ŠŞŤŹ\xadŽŻ°ą\u02dbł´ľś\u02c7¸šşťź\u02ddžż${latin2Letters}`;
const macRoman =
  'ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\xa0ÀÃÕŒœ' +
  '–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uf8ffÒÚÛÙı\u02c6\u02dc¯\u02d8˙˚¸\u02dd\u02db\u02c7';
const cp437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀' +
  'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\xa0';

/** One single-byte encoding. Byte strings are JavaScript strings of code units 0 to 255. */
export interface SingleByteEncoding {
  readonly name: string;
  /** True if byte 0x1A stands for U+FFFD. */
  readonly sloppy: boolean;
  /** The characters of bytes 0x80 to 0xFF. */
  readonly upperHalf: string;
  /** The byte string that would have been read as `text`, or undefined if a character has no byte. */
  encode(text: string): string | undefined;
}

function singleByteEncoding(name: string, upperHalf: string, sloppy: boolean): SingleByteEncoding {
  if (upperHalf.length !== 128) throw new Error(`${name} has ${upperHalf.length} characters, not 128`);
  const toByte = new Map<string, string>();
  for (let byte = 0; byte < 128; byte++) toByte.set(String.fromCharCode(byte), String.fromCharCode(byte));
  [...upperHalf].forEach((char, i) => {
    toByte.set(char, String.fromCharCode(128 + i));
  });
  if (sloppy) {
    toByte.delete('\x1a');
    toByte.set('\ufffd', '\x1a');
  }
  const encode = (text: string): string | undefined => {
    let bytes = '';
    for (const char of text) {
      const byte = toByte.get(char);
      if (byte === undefined) return undefined;
      bytes += byte;
    }
    return bytes;
  };
  return { name, sloppy, upperHalf, encode };
}

/** The encodings in the order in which ftfy 6.3 tries them. */
export const ENCODINGS: readonly SingleByteEncoding[] = [
  singleByteEncoding('latin-1', latin1, false),
  singleByteEncoding('windows-1252', windows1252, true),
  singleByteEncoding('windows-1251', windows1251, true),
  singleByteEncoding('windows-1250', windows1250, true),
  singleByteEncoding('windows-1253', windows1253, true),
  singleByteEncoding('windows-1254', windows1254, true),
  singleByteEncoding('windows-1257', windows1257, true),
  singleByteEncoding('iso-8859-2', iso88592, false),
  singleByteEncoding('macroman', macRoman, false),
  singleByteEncoding('cp437', cp437, false),
];

/** What a Latin-1 control character U+0080 to U+009F is in Windows-1252. */
export function c1AsWindows1252(char: string): string {
  return windows1252[char.charCodeAt(0) - 0x80] as string;
}
