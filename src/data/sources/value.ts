/**
 * How values of the columnar formats, Arrow and Parquet, are handed out (`Value` in ../schema.ts). Whole numbers of 64 bits
 * are bigints, decimals numbers up to 15 digits of precision and text beyond, dates and times ISO 8601 text with the digits
 * of their unit and Z where they have a time zone; maps are objects.
 */
import type { Value } from '../schema.js';

/** Units of time, by their digits after the second. */
export type TimeUnit = 's' | 'ms' | 'us' | 'ns';

const digitsOf = { s: 0, ms: 3, us: 6, ns: 9 } as const;
const SECONDS_A_DAY = 86_400n;

/** A day as YYYY-MM-DD, counted from 1970-01-01; null for one that JavaScript's calendar does not reach. */
export function isoDate(days: number): string | null {
  const date = new Date(days * 86_400_000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString().slice(0, -14);
}

/** A time of day as HH:MM:SS with the unit's digits. */
export function isoTime(ticks: bigint, unit: TimeUnit): string {
  const digits = digitsOf[unit];
  const perSecond = 10n ** BigInt(digits);
  const seconds = Number(ticks / perSecond);
  const pair = (value: number): string => String(value).padStart(2, '0');
  const clock = `${pair(Math.floor(seconds / 3600))}:${pair(Math.floor(seconds / 60) % 60)}:${pair(seconds % 60)}`;
  return digits === 0 ? clock : `${clock}.${String(ticks % perSecond).padStart(digits, '0')}`;
}

/** A moment as date, T and time, counted from 1970; with Z if it `isUtc`. Null as {@link isoDate}. */
export function isoTimestamp(ticks: bigint, unit: TimeUnit, isUtc: boolean): string | null {
  const perDay = SECONDS_A_DAY * 10n ** BigInt(digitsOf[unit]);
  const rest = ((ticks % perDay) + perDay) % perDay;
  const date = isoDate(Number((ticks - rest) / perDay));
  return date === null ? null : `${date}T${isoTime(rest, unit)}${isUtc ? 'Z' : ''}`;
}

/** A decimal: a number if every value of its precision is exact as one, else its digits as text. */
export function decimalValue(unscaled: bigint, precision: number, scale: number): number | string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0');
  const whole =
    scale > 0 ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}` : digits + '0'.repeat(-scale);
  const text = unscaled < 0n ? `-${whole}` : whole;
  return precision <= 15 ? Number(text) : text;
}

/** A signed whole number of any size from its bytes, the last of which is the highest. */
export function signedInteger(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return BigInt.asIntN(bytes.length * 8, value);
}

/** A number of IEEE 754's half precision from its 16 bits. */
export function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/**
 * A struct. That of bytes and path, in which Hugging Face's `datasets` stores an image, becomes its bytes or, where it
 * has none, its path.
 */
export function structValue(names: readonly string[], values: readonly Value[]): Value {
  if (isImageStruct(names)) {
    const bytes = values[names.indexOf('bytes')] as Value;
    return bytes ?? (values[names.indexOf('path')] as Value);
  }
  // Not from entries: a field may be called __proto__.
  const struct: Record<string, Value> = {};
  for (const [i, name] of names.entries()) setOwn(struct, name, values[i] as Value);
  return struct;
}

/** Whether a struct of these fields is an image of Hugging Face's `datasets`. */
export function isImageStruct(names: readonly string[]): boolean {
  return names.length === 2 && names.includes('bytes') && names.includes('path');
}

/** A map as an object; of a key that comes twice the last value counts. */
export function mapValue(entries: Iterable<readonly [key: Value, value: Value]>): Value {
  const map: Record<string, Value> = {};
  for (const [key, value] of entries) setOwn(map, keyText(key), value);
  return map;
}

function keyText(key: Value): string {
  return key instanceof Uint8Array ? Buffer.from(key).toString('hex') : String(key);
}

function setOwn(object: Record<string, Value>, name: string, value: Value): void {
  if (name !== '__proto__') object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}
