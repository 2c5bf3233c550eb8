/**
 * The quickstart's phases with their durations, kept in a file, so that a run that was interrupted or is
 * repeated reports the time that each phase took when its work was done.
 */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { makeDirectories } from '../../directories.js';
import { replaceFile } from '../../replace-file.js';

const recorded = z.record(z.string(), z.number());

/** What a phase says of itself when it ends. */
export interface PhaseResult<T> {
  readonly value: T;
  /** False when what the phase makes was there already: its earlier duration then stands. */
  readonly worked: boolean;
}

/** Times phases and remembers. */
export class PhaseClock {
  readonly #path: string;
  readonly #seconds: Map<string, number>;
  readonly #now: () => number;

  private constructor(path: string, seconds: Map<string, number>, now: () => number) {
    this.#path = path;
    this.#seconds = seconds;
    this.#now = now;
  }

  /** Opens the file of durations; one that is missing or unreadable means that nothing was done yet. */
  static async open(path: string, now: () => number = () => performance.now()): Promise<PhaseClock> {
    let seconds: Record<string, number> = {};
    try {
      seconds = recorded.parse(JSON.parse(await readFile(path, 'utf8')));
    } catch {
      // Durations are no result: without them the phases are simply timed anew.
    }
    return new PhaseClock(path, new Map(Object.entries(seconds)), now);
  }

  /**
   * Runs a phase and keeps its duration. One that went on with an interrupted attempt counts only what it
   * took itself.
   */
  async time<T>(name: string, phase: () => Promise<PhaseResult<T>>): Promise<T> {
    const start = this.#now();
    const { value, worked } = await phase();
    if (worked || !this.#seconds.has(name)) {
      this.#seconds.set(name, (this.#now() - start) / 1000);
      await this.#save();
    }
    return value;
  }

  /** Seconds per phase, in the order in which they were first finished. */
  seconds(): Record<string, number> {
    return Object.fromEntries([...this.#seconds].map(([name, s]) => [name, Math.round(s * 10) / 10]));
  }

  async #save(): Promise<void> {
    await makeDirectories(dirname(this.#path));
    await replaceFile(this.#path, `${JSON.stringify(Object.fromEntries(this.#seconds), null, 2)}\n`);
  }
}
