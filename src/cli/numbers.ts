/** Numbers on the command line: as it is given them, and as it tells them. */
import { InvalidArgumentError } from 'commander';

/** Parses a whole number from 1 on. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('Expected a whole number, 1 or more.');
}

/** Parses a whole number from 0 on. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('Expected a whole number, 0 or more.');
}

/** Parses a share from 0 to 1. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('Expected a share from 0 to 1.');
}

/** Parses a number above 0. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
}

/** A share as a percentage with two decimals. */
export const percent = (value: number): string => `${(100 * value).toFixed(2)} %`;

/** A number with its thousands. */
export const count = (value: number): string => value.toLocaleString('en-US');
