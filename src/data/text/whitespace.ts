/**
 * Whitespace as Python's `str.isspace` has it. JavaScript's `\s` differs: it takes U+FEFF and leaves
 * out U+001C to U+001F and U+0085.
 */

/** The body of a regex character class that matches one whitespace character. */
export const WHITESPACE =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

const RUNS = new RegExp(`[${WHITESPACE}]+`, 'g');
const NEEDS_COLLAPSING = new RegExp(
  `^[${WHITESPACE}]|[${WHITESPACE}]$|[${WHITESPACE}]{2}|(?! )[${WHITESPACE}]`,
);

/** Joins the words of `text` with single spaces, as Python's `' '.join(text.split())`. */
export function collapseWhitespace(text: string): string {
  if (!NEEDS_COLLAPSING.test(text)) return text;
  const joined = text.replace(RUNS, ' ');
  return joined.slice(joined.startsWith(' ') ? 1 : 0, joined.length - (joined.endsWith(' ') ? 1 : 0));
}
