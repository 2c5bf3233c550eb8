/** Options of the commands that take a run's model. */
import { InvalidArgumentError, Option } from 'commander';

/** Which checkpoint of the run: `--checkpoint`. */
export function checkpointOption(): Option {
  return new Option('--checkpoint <which>', 'latest, best, or a step')
    .argParser(checkpointChoice)
    .default('latest');
}

/** Where its model computes: `--device`. */
export function deviceOption(): Option {
  return new Option('--device <device>', "where to compute (default: the run's own)").choices([
    'auto',
    'cpu',
    'cuda',
  ]);
}

function checkpointChoice(value: string): 'latest' | 'best' | number {
  if (value === 'latest' || value === 'best') return value;
  if (/^\d+$/.test(value)) return Number(value);
  throw new InvalidArgumentError("Expected 'latest', 'best' or a step.");
}
