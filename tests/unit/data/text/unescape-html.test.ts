import { describe, expect, it } from 'vitest';
import { namedReferences, unescapeHtml } from '../../../../src/data/text/unescape-html.js';

describe('unescapeHtml', () => {
  it('knows every name of HTML5, 106 of them without their semicolon too', () => {
    const names = [...namedReferences().keys()];
    expect(names).toHaveLength(2231);
    expect(names.filter((name) => !name.endsWith(';'))).toHaveLength(106);
    expect(namedReferences().get('NotEqualTilde;')).toBe('\u2242\u0338');
    expect(namedReferences().get('Aacute')).toBe('Á');
    expect(namedReferences().get('zwnj;')).toBe('\u200c');
  });

  it.each([
    ['plain', 'plain'],
    ['&amp;amp;', '&amp;'],
    ['&lt;b&gt', '<b>'],
    ['&notit; &notin; &not', '¬it; ∉ ¬'],
    ['&unknown; &x &', '&unknown; &x &'],
    ['&copy2020 &copyx;', '©2020 ©x;'],
    ['&fjlig;', 'fj'],
    ['&#65;&#66 &#x43;&#X44 &#x1F600;', 'AB CD 😀'],
    ['&#0; &#13; &#128; &#129; &#159;', '\ufffd \r € \x81 Ÿ'],
    ['&#xD800; &#x110000; &#99999999999;', '\ufffd \ufffd \ufffd'],
    ['[&#1;&#11;&#127;&#xFDD0;&#xFFFE;&#x1FFFF;]', '[]'],
    ['&#9;&#10;&#12;&#32;', '\t\n\f '],
    ['&# &#x &#xg', '&# &#x &#xg'],
  ])('%j becomes %j', (text, expected) => {
    expect(unescapeHtml(text)).toBe(expected);
  });
});
