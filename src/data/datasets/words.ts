/** English words put together for captions. */

/** 'a' or 'an' before the words, or nothing before names and plurals. */
export function withArticle(words: string): string {
  if (/^\p{Lu}/u.test(words) || /(?:[^su]s|men|people)$/.test(words)) return words;
  return `${/^(?:[aeio]|u(?!ni|se))/i.test(words) ? 'an' : 'a'} ${words}`;
}

/** The text with its first letter a capital. */
export const capitalise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** 'a, b and c' */
export function listOf(words: readonly string[]): string {
  return words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
