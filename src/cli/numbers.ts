/** Numbers on the command line. */
import { InvalidArgumentError } from 'commander';

/** Parses a whole number from 1 on. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('Expected a whole number, 1 or more.');
}
