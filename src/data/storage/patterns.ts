/** Names of many files at once: braces as webdataset's users write them, and wildcards. */
import { DataError } from '../../errors.js';

/** More files than any data set has; a typing error in a range must not fill the memory. */
const MAX_EXPANDED = 1_000_000;

/**
 * Expands `{00000..00099}` and `{a,b}`, several in one text too, in the order in which they are written. The
 * leftmost changes slowest; a range is padded as its ends are, and may fall. Other braces stay as they are.
 *
 * @throws DataError if they are more than a million
 */
export function expandBraces(pattern: string): string[] {
  const choice = findChoice(pattern);
  if (choice === undefined) return [pattern];
  const { start, end, options } = choice;
  const head = pattern.slice(0, start);
  const tails = expandBraces(pattern.slice(end + 1));
  const expanded: string[] = [];
  for (const option of options) {
    for (const middle of option.includes('{') ? expandBraces(option) : [option]) {
      if (expanded.length + tails.length > MAX_EXPANDED) throw tooMany(pattern);
      for (const tail of tails) expanded.push(head + middle + tail);
    }
  }
  return expanded;
}

/** The first pair of braces that is a choice. */
function findChoice(text: string): { start: number; end: number; options: string[] } | undefined {
  for (let start = text.indexOf('{'); start >= 0; start = text.indexOf('{', start + 1)) {
    const end = closingBrace(text, start);
    if (end === undefined) continue;
    const inner = text.slice(start + 1, end);
    const options = expandRange(inner) ?? splitAtCommas(inner);
    if (options.length > 1 || /^\d+\.\.\d+$/.test(inner)) return { start, end, options };
  }
  return undefined;
}

function closingBrace(text: string, start: number): number | undefined {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return i;
  }
  return undefined;
}

/** `008..011` as 008, 009, 010, 011. Undefined if it is no range. */
function expandRange(inner: string): string[] | undefined {
  const match = /^(\d+)\.\.(\d+)$/.exec(inner);
  if (match === null) return undefined;
  const [from, to] = [match[1] as string, match[2] as string];
  const step = Number(to) >= Number(from) ? 1 : -1;
  const count = Math.abs(Number(to) - Number(from)) + 1;
  if (count > MAX_EXPANDED) throw tooMany(`{${inner}}`);
  const isPadded = (from.length > 1 && from.startsWith('0')) || (to.length > 1 && to.startsWith('0'));
  const width = isPadded ? Math.max(from.length, to.length) : 0;
  return Array.from({ length: count }, (_, i) => `${Number(from) + i * step}`.padStart(width, '0'));
}

function splitAtCommas(inner: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const char of inner) {
    if (char === '{') depth++;
    else if (char === '}') depth--;
    if (char === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts;
}

function tooMany(pattern: string): DataError {
  return new DataError(`${pattern}: the braces stand for more than ${MAX_EXPANDED} files. Check the range.`);
}

/** Whether the text has a wildcard: `*`, `?` or `[…]`. */
export function hasWildcard(text: string): boolean {
  return /[*?]|\[[^\]]+\]/.test(text);
}

/** The folders before the first wildcard, with the last slash, and the rest. */
export function splitAtWildcard(pattern: string): { base: string; rest: string } {
  const segments = pattern.split('/');
  const first = segments.findIndex(hasWildcard);
  const base = segments.slice(0, first).map((segment) => `${segment}/`);
  return { base: base.join(''), rest: segments.slice(first).join('/') };
}

/**
 * Matches whole paths: `*` any name or part of one, `?` one character, `[a-c]` and `[!a]` one of a set, `**` any
 * folders, none included. A name that begins with a dot must be asked for by a dot.
 *
 * @throws DataError for a set that is none, as `[z-a]`
 */
export function globToRegExp(pattern: string): RegExp {
  const segments = pattern.split('/');
  const source = segments.map((segment, i) => {
    const isLast = i === segments.length - 1;
    if (segment === '**') return isLast ? '(?:(?!\\.)[^/]+/)*(?!\\.)[^/]+' : '(?:(?!\\.)[^/]+/)*';
    const isHidden = segment.startsWith('.');
    return `${isHidden ? '' : '(?!\\.)'}${segmentSource(segment)}${isLast ? '' : '/'}`;
  });
  try {
    return new RegExp(`^${source.join('')}$`, 'su');
  } catch (cause) {
    throw new DataError(`${pattern}: is no pattern (${(cause as Error).message}). Check its brackets.`, {
      cause,
    });
  }
}

function segmentSource(segment: string): string {
  return segment.replace(
    /\*+|\?|\[(!?)([^\]]+)\]|[\\^$.|+(){}[\]/]/gu,
    (token, not?: string, set?: string) => {
      if (token.startsWith('*')) return '[^/]*';
      if (token === '?') return '[^/]';
      if (set !== undefined) return `[${not ? '^/' : ''}${set.replace(/[\\\]^[]/gu, '\\$&')}]`;
      return `\\${token}`;
    },
  );
}

/** Order by Unicode code points, which is the order of UTF-8 bytes and S3's own: the same wherever files lie. */
export function comparePaths(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
