/**
 * HTML character references, decoded as Python's `html.unescape` does (which follows the WHATWG's
 * parsing rules): names may lack their semicolon where HTML4 allowed it, the longest known prefix of
 * an unknown name counts, and numeric references go through HTML5's table of replacements.
 */
import { HTML5_ENTITIES } from './html5-entities.js';

let parsed: ReadonlyMap<string, string> | undefined;

/** Every known name, with its semicolon, and for the old ones without it too, to its characters. */
export function namedReferences(): ReadonlyMap<string, string> {
  parsed ??= parseTable(HTML5_ENTITIES); // few texts have any, and a loader's first batch should not wait for it
  return parsed;
}

function parseTable(table: string): Map<string, string> {
  const names = new Map<string, string>();
  for (const record of table.trim().split(/\s/)) {
    const [, name, mark, codes] = /^(\w+)([.!])(.+)$/.exec(record) as unknown as [
      string,
      string,
      string,
      string,
    ];
    const chars = codes.split('-').map((code) => String.fromCodePoint(Number.parseInt(code, 36)));
    names.set(`${name};`, chars.join(''));
    if (mark === '!') names.set(name, chars.join(''));
  }
  return names;
}

// HTML5 reads references to the C1 range as Windows-1252; Python leaves the five unassigned ones.
const C1_AS_WINDOWS_1252 = '€\x81‚ƒ„…†‡\u02c6‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—\u02dc™š›œ\x9džŸ';

function numericReference(num: number): string {
  if (num === 0) return '\ufffd';
  if (num === 0x0d) return '\r';
  if (num >= 0x80 && num <= 0x9f) return C1_AS_WINDOWS_1252[num - 0x80] as string;
  if ((num >= 0xd800 && num <= 0xdfff) || num > 0x10ffff) return '\ufffd';
  const isControl = num < 0x20 && num !== 0x09 && num !== 0x0a && num !== 0x0c;
  const isNonCharacter = (num >= 0xfdd0 && num <= 0xfdef) || (num & 0xfffe) === 0xfffe;
  if (isControl || num === 0x7f || isNonCharacter) return '';
  return String.fromCodePoint(num);
}

const REFERENCE = /&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)/gu;

function replaceReference(whole: string, body: string): string {
  if (body.startsWith('#')) {
    const isHex = body[1] === 'x' || body[1] === 'X';
    return numericReference(isHex ? Number.parseInt(body.slice(2), 16) : Number.parseInt(body.slice(1), 10));
  }
  const exact = namedReferences().get(body);
  if (exact !== undefined) return exact;
  for (let end = body.length - 1; end > 1; end--) {
    const prefix = namedReferences().get(body.slice(0, end));
    if (prefix !== undefined) return prefix + body.slice(end);
  }
  return whole;
}

/** Decodes every HTML character reference in `text`, once (a double-escaped text needs two calls). */
export function unescapeHtml(text: string): string {
  return text.includes('&') ? text.replace(REFERENCE, replaceReference) : text;
}
