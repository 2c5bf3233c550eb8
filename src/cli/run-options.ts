import { InvalidArgumentError } from 'commander';

/** Parses which checkpoint of a run is meant. */
export function checkpointChoice(value: string): 'latest' | 'best' | number {
  if (value === 'latest' || value === 'best') return value;
  if (/^\d+$/.test(value)) return Number(value);
  throw new InvalidArgumentError("Expected 'latest', 'best' or a step.");
}
