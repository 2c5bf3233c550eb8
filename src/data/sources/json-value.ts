/** JSON as Python and the web write it, as values of cells. */
import type { Value } from '../schema.js';
import { RecordFault } from './records/record-format.js';

/** Levels of lists and objects in one another. Captions nest three deep; what walks over values may recurse. */
const MAX_DEPTH = 64;

/** Every token whose text matters here: strings whole, so that nothing in them is taken for a number. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|NaN|-?Infinity/gs;

/**
 * Parses JSON. NaN and the infinities, which Python writes and JSON does not know, are null; a whole number
 * beyond 2^53 is its digits as text, so that a key loses none; of equal names in an object the last counts.
 *
 * @throws RecordFault if it is not JSON, or nested too deep.
 */
export function parseJson(text: string, what: string): Value {
  if (nestsDeeper(text)) throw new RecordFault(`${what} is nested more than ${MAX_DEPTH} deep.`);
  try {
    return JSON.parse(/\d{16}/.test(text) ? toStrictJson(text) : text) as Value;
  } catch (cause) {
    return parseLenient(text, what, cause);
  }
}

/** Looked at before parsing: a text of nothing but brackets would take many times its size in memory. */
function nestsDeeper(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) quoted = !quoted;
    else if (quoted) {
      if (code === 0x5c) i++;
      continue;
    }
    const folded = code | 0x20; // [ and { differ in this bit, as do ] and }
    if (folded === 0x7b && ++depth > MAX_DEPTH) return true;
    if (folded === 0x7d) depth--;
  }
  return false;
}

function parseLenient(text: string, what: string, cause: unknown): Value {
  // What JSON.parse says quotes the text around; the place is enough.
  const [place = ''] = /at position \d+/.exec((cause as Error).message) ?? [];
  const fault = new RecordFault(`${what} is not valid JSON${place === '' ? '' : ` (${place})`}.`, { cause });
  if (!/NaN|Infinity/.test(text)) throw fault;
  try {
    return JSON.parse(toStrictJson(text)) as Value;
  } catch {
    throw fault;
  }
}

function toStrictJson(text: string): string {
  return text.replace(TOKENS, (token) => {
    if (token.startsWith('"')) return token;
    if (/[NI]/.test(token)) return 'null';
    return /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token;
  });
}

/** Whether a value is an object with named values. */
export function isObject(value: Value): value is { readonly [name: string]: Value } {
  return (
    value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

/** The kind of a value, for messages. */
export function kindOf(value: Value): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
