/**
 * `ftfy.fix_text` of ftfy 6.3 with its default options, in TypeScript: mends text that was decoded
 * wrongly, escaped once too often or typeset too well. CLIP's tokenizer cleans every caption with it.
 *
 * Deviation: Unicode's version is the JavaScript engine's, so normalisation of characters that are
 * newer than the Python's `unicodedata` may differ.
 */
import {
  fixCharacterWidth,
  fixLatinLigatures,
  fixLineBreaks,
  fixSurrogates,
  removeControlChars,
  removeTerminalEscapes,
  uncurlQuotes,
} from './ftfy/characters.js';
import { fixC1Controls, fixEncoding } from './ftfy/fix-encoding.js';
import { namedReferences, unescapeHtml } from './unescape-html.js';

// Segments are no longer than this, so that one long line cannot stall everything.
const MAX_SEGMENT_LENGTH = 1_000_000;

// Text that no step changes: printable ASCII, tabs and line feeds, without "&".
const PLAIN = /^[\t\n\x20-\x25\x27-\x7e]*$/;

/** Names with their semicolon, and those in capitals that mean the same and are not names themselves. */
function buildEntities(): Map<string, string> {
  const entities = new Map<string, string>();
  for (const [name, chars] of namedReferences()) {
    if (!name.endsWith(';')) continue;
    entities.set(`&${name}`, chars);
    const capitals = `&${name.toUpperCase()}`;
    if (name === name.toLowerCase() && unescapeHtml(capitals) === capitals) {
      entities.set(capitals, chars.toUpperCase());
    }
  }
  return entities;
}

let entities: ReadonlyMap<string, string> | undefined;
const ENTITY = /&#?[0-9A-Za-z]{1,24};/g;

/** Unlike {@link unescapeHtml}, only what is surely a reference: known names that end in a semicolon. */
function unescapeCertain(text: string): string {
  return text.replace(ENTITY, (reference) => {
    entities ??= buildEntities();
    const named = entities.get(reference);
    if (named !== undefined) return named;
    if (!reference.startsWith('&#')) return reference;
    const unescaped = unescapeHtml(reference);
    return unescaped.includes(';') ? reference : unescaped;
  });
}

// An ampersand that was escaped over and over, "&amp;amp;amp;".
const AMPERSANDS = /&(?:(?:amp|AMP|#0{0,9}38|#[xX]0{0,9}26);){2,}/g;

/**
 * Undoes at once what the next rounds would, one escape of each a round, where nothing else is left to do: a text of
 * such escapes alone would take as many rounds as it has. None is undone to its end, as that may make a new reference.
 */
function skipRounds(text: string): string {
  const chains = text.match(AMPERSANDS);
  if (chains === null) return text;
  const others = text.replace(AMPERSANDS, ' ');
  if (unescapeCertain(others) !== others) return text;
  const rounds = chains.reduce(
    (least, chain) => Math.min(least, chain.split(';').length - 2),
    Number.POSITIVE_INFINITY,
  );
  if (rounds < 1) return text;
  return text.replace(AMPERSANDS, (chain) => `&${chain.slice(1).split(';').slice(rounds).join(';')}`);
}

function fixSegment(segment: string, mayUnescape: boolean): string {
  let text = segment;
  for (;;) {
    const before = text;
    if (mayUnescape) text = unescapeCertain(text);
    const unescaped = text;
    text = fixEncoding(text);
    text = fixC1Controls(text);
    text = fixLatinLigatures(text);
    text = fixCharacterWidth(text);
    text = uncurlQuotes(text);
    text = fixLineBreaks(text);
    text = fixSurrogates(text);
    text = removeTerminalEscapes(text);
    text = removeControlChars(text);
    text = text.normalize('NFC');
    if (text === before) return text;
    if (mayUnescape && text === unescaped) text = skipRounds(text);
  }
}

function segmentEnd(text: string, start: number): number {
  const newline = text.indexOf('\n', start);
  const end = newline < 0 ? text.length : newline + 1;
  if (end - start <= MAX_SEGMENT_LENGTH) return end;
  const cut = start + MAX_SEGMENT_LENGTH;
  const codeUnit = text.charCodeAt(cut - 1);
  return codeUnit >= 0xd800 && codeUnit <= 0xdbff ? cut - 1 : cut; // not between a pair's halves
}

/**
 * Mends mojibake, HTML references (unless the text has a `<` up to there, since it may be HTML),
 * terminal escapes, ligatures, character widths, curly quotes, line breaks, surrogates and control
 * characters, and normalises to NFC. Lines are mended one by one. Source: ftfy 6.3.1, `fix_text`.
 */
export function fixText(text: string): string {
  if (PLAIN.test(text)) return text;
  let fixed = '';
  let mayUnescape = true;
  for (let start = 0; start < text.length; ) {
    const end = segmentEnd(text, start);
    const segment = text.slice(start, end);
    if (segment.includes('<')) mayUnescape = false;
    fixed += PLAIN.test(segment) ? segment : fixSegment(segment, mayUnescape);
    start = end;
  }
  return fixed;
}
