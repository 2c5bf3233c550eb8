/** What a bench says at its end: a table for people, a JSON file, and one line of JSON. */
import { replaceFile } from '../../src/replace-file.js';
import type { Machine } from './machine.js';
import type { Spread } from './statistics.js';

/** One comparison. */
export interface Case {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  /** The other side, or the limit that is set. */
  readonly peer: number;
  /** Over 1 where we are better. */
  readonly ratio: number;
  /** What the ratio has to reach; cases without one are for information. */
  readonly target?: number;
  readonly oursSpread?: Spread;
  readonly peerSpread?: Spread;
}

/** The bench's last line: the case of the lowest ratio, and all cases. */
export interface BenchResult {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly peer: number;
  readonly ratio: number;
  readonly cases: readonly Case[];
}

/** Whether a case reaches its target; undefined without one. */
export function isMet({ ratio, target }: Case): boolean | undefined {
  return target === undefined ? undefined : ratio >= target;
}

/** Puts the case of the lowest ratio on top. */
export function summarize(name: string, cases: readonly Case[]): BenchResult {
  const [first, ...others] = cases;
  if (!first) throw new RangeError(`the bench ${name} has no case`);
  const worst = others.reduce((lowest, other) => (other.ratio < lowest.ratio ? other : lowest), first);
  const { unit, ours, peer, ratio } = worst;
  return { name, unit, ours, peer, ratio, cases };
}

/** Rows as aligned columns under a header; the first column is text, the others are numbers. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    widths
      .map((width, column) =>
        column === 0 ? (row[column] ?? '').padEnd(width) : (row[column] ?? '').padStart(width),
      )
      .join('  ')
      .trimEnd();
  return [line(header), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** `12.3`, `0.0012`: four digits where they matter. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(4)));
}

/** The cases as a table. */
export function casesTable(cases: readonly Case[]): string {
  return formatTable(
    ['case', 'unit', 'ours', 'peer or limit', 'ratio', 'target', ''],
    cases.map((row) => {
      const met = isMet(row);
      return [
        row.name,
        row.unit,
        formatNumber(row.ours),
        formatNumber(row.peer),
        row.ratio.toFixed(3),
        row.target === undefined ? '' : row.target.toFixed(2),
        met === undefined ? '' : met ? 'met' : 'MISSED',
      ];
    }),
  );
}

/** Everything a bench leaves behind. */
export interface Outcome {
  readonly name: string;
  readonly cases: readonly Case[];
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, unknown>>;
  /** Why the figures may not be believed. */
  readonly warnings: readonly string[];
  /** Whatever else the bench measured; goes to the file only. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** Prints the cases and the last line, and writes the file if one is wanted. @throws the file system's error */
export async function report(outcome: Outcome, jsonFile: string | undefined): Promise<void> {
  const { name, cases, ...rest } = outcome;
  const result = summarize(name, cases);
  console.log(`\n${casesTable(cases)}\n`);
  for (const warning of outcome.warnings) console.log(`WARNING: ${warning}\n`);
  console.log(JSON.stringify(result));
  if (jsonFile === undefined) return;
  await replaceFile(jsonFile, `${JSON.stringify({ ...result, ...rest }, null, 2)}\n`);
}
