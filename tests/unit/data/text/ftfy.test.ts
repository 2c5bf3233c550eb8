import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isBad } from '../../../../src/data/text/ftfy/badness.js';
import { ENCODINGS } from '../../../../src/data/text/ftfy/encodings.js';
import {
  decodeUtf8,
  replaceLossySequences,
  restoreByteA0,
} from '../../../../src/data/text/ftfy/utf8-bytes.js';
import { fixText } from '../../../../src/data/text/ftfy.js';

describe('fixText', () => {
  it.each([
    ['a plain caption, 100%!', 'a plain caption, 100%!'],
    ['schÃ¶n', 'schön'],
    ['ÃƒÂ©', 'é'],
    ['voilÃ le travail', 'voilà le travail'],
    ['donâ€™t', "don't"],
    ['â€œ like this â€�', '" like this �'],
    ['ÐŸÑ€Ð¸Ð²ÐµÑ‚', 'Привет'],
    ['ÅÄÖ, Å and Ä are letters', 'ÅÄÖ, Å and Ä are letters'],
    ['in the middle: cafÃ©s — здесь', 'in the middle: cafés — здесь'],
    ['P&EACUTE;REZ &amp; co &notit', 'PÉREZ & co &notit'],
    ['<b>P&eacute;rez</b>', '<b>P&eacute;rez</b>'],
    ['&eacute;\n<b>&eacute;\n&eacute;', 'é\n<b>&eacute;\n&eacute;'],
    ['\x1b[36;44mblue\x1b[0m', 'blue'],
    ['ﬂuﬃeﬆ Ｕﾀｰﾝ', 'fluffiest Uターン'],
    ['\u201chere\u2019s\u201d', '"here\'s"'],
    ['a\r\nb\rc\u2028d', 'a\nb\nc\nd'],
    ['\ud83d\ude00 \ud83d', '😀 \ufffd'],
    ['\x00a\x07\ufeffb\ufffc', 'ab'],
    ['e\u0301', 'é'],
    [`${'&amp;amp;#38;'.repeat(3)}&amp;amp;amp;amp;lt; &amp;amp;amp;eacute;`, '&&&< é'],
    ['it \x93was\x94 Windows-1252', 'it "was" Windows-1252'],
  ])('%j becomes %j', (text, expected) => {
    expect(fixText(text)).toBe(expected);
  });

  it('changes nothing the second time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        const once = fixText(text);
        // Only the "<" rule may see a mended text differently, so texts with references are left out.
        fc.pre(!once.includes('&'));
        expect(fixText(once)).toBe(once);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('mends UTF-8 that was read as Windows-1252', () => {
    const windows1252 = ENCODINGS[1];
    const misread = (text: string): string =>
      [...Buffer.from(text, 'utf8')]
        .map((byte) => (byte < 128 ? String.fromCharCode(byte) : windows1252?.upperHalf[byte - 128]))
        .join('');
    for (const text of ['Zażółć gęślą jaźń', '東京タワーの夜景', 'Ночной город', '😀 emoji 🎉']) {
      expect(fixText(misread(text))).toBe(text);
      expect(fixText(misread(misread(text)))).toBe(text);
    }
  });
});

describe('the parts', () => {
  it('encodings know which characters they have', () => {
    const byName = new Map(ENCODINGS.map((encoding) => [encoding.name, encoding]));
    expect(byName.get('latin-1')?.encode('é\x1a')).toBe('\xe9\x1a');
    expect(byName.get('latin-1')?.encode('€')).toBeUndefined();
    expect(byName.get('windows-1252')?.encode('€\x81\ufffd')).toBe('\x80\x81\x1a');
    expect(byName.get('windows-1252')?.encode('\x1a')).toBeUndefined();
    expect(byName.get('windows-1251')?.encode('Я')).toBe('\xdf');
    expect(byName.get('macroman')?.encode('√')).toBe('\xc3');
    expect(byName.get('cp437')?.encode('├')).toBe('\xc3');
  });

  it('isBad tells mojibake from real text', () => {
    for (const text of ['Ã©', 'â€™', 'ÐŸÑ€', '\x85', 'œ uvre']) expect(isBad(text), text).toBe(true);
    for (const text of ['é', 'œuvre', 'Ångström', '£100', 'Привет', '(°ロ°)'])
      expect(isBad(text), text).toBe(false);
  });

  it('restoreByteA0 puts back the byte within sequences only', () => {
    expect(restoreByteA0('\xc3 la')).toBe('\xc3\xa0 la');
    expect(restoreByteA0('\xc3 quele')).toBe('\xc3\xa0quele');
    expect(restoreByteA0('\xe2 \x80')).toBe('\xe2\xa0\x80');
    expect(restoreByteA0('a b')).toBe('a b');
  });

  it('replaceLossySequences writes U+FFFD where bytes were lost', () => {
    expect(replaceLossySequences('\xe2\x80\x1a')).toBe('\xef\xbf\xbd');
    expect(replaceLossySequences('\xc3?')).toBe('\xef\xbf\xbd');
    expect(replaceLossySequences('what?')).toBe('what?');
  });

  it('decodeUtf8 reads UTF-8, CESU-8 and C0 80, and nothing else', () => {
    expect(decodeUtf8('\xc3\xa9')).toBe('é');
    expect(decodeUtf8('\xef\xbb\xbfa')).toBe('\ufeffa');
    expect(decodeUtf8('\xed\xa0\xbd\xed\xb8\x80!')).toBe('😀!');
    expect(decodeUtf8('a\xc0\x80b')).toBe('a\0b');
    expect(decodeUtf8('\xed\x95\x9c')).toBe('한');
    for (const bytes of ['\xc3', '\xff', '\xed\xa0\xbd', '\xed\xa0\xbdabc', '\xc1\x81', 'x\xc0']) {
      expect(decodeUtf8(bytes), JSON.stringify(bytes)).toBeUndefined();
    }
  });
});
