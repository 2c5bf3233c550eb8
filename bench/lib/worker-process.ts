/** One engine in a process of its own, stopped while it is not its turn. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { REPLY, type RequestName, type Requests } from './protocol.js';

const alive = new Set<ChildProcess>();
// A stopped child would outlive a killed bench.
process.on('exit', () => {
  for (const child of alive) signal(child, 'SIGKILL');
});
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => process.exit(130));
}

const KEPT_STDERR = 8_000;

/** Each worker leads a process group, so that its own workers stop and go on with it. */
function signal({ pid }: ChildProcess, name: 'SIGCONT' | 'SIGSTOP' | 'SIGKILL'): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // All of them have ended.
  }
}

/**
 * A worker process. Between requests it is suspended (SIGSTOP), because the threads of a pool may spin
 * after their work is done, and would take time from the other side.
 */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #spawnedAt = performance.now();
  #errors = '';
  #waiting: { resolve: (reply: unknown) => void; reject: (error: Error) => void } | undefined;
  readonly #closed: Promise<void>;

  /**
   * @param label names the side in errors
   * @param command program and arguments
   */
  constructor(
    readonly label: string,
    command: readonly [string, ...string[]],
    env: Readonly<Record<string, string>> = {},
  ) {
    const [program, ...args] = command;
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      detached: true,
    });
    this.#child = child;
    alive.add(child);
    createInterface({ input: child.stdout }).on('line', (line) => this.#receive(line));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-KEPT_STDERR);
    });
    child.on('error', (error) => this.#fail(`could not start ${program}: ${error.message}`));
    child.stdin.on('error', () => undefined); // A dead worker is reported by its exit.
    this.#closed = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        alive.delete(child);
        this.#fail(`ended with ${signal ?? `code ${code}`} before it had answered`);
        resolve();
      });
    });
  }

  /** Seconds since the process was started. */
  get ageSeconds(): number {
    return (performance.now() - this.#spawnedAt) / 1000;
  }

  /** Sends a request, lets the worker run until it has answered, and suspends it. One at a time. */
  async request<N extends RequestName>(
    name: N,
    args: Requests[N]['arguments'],
  ): Promise<Requests[N]['reply']> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      throw new Error(`${this.label} has ended\n${this.#errors}`);
    }
    signal(this.#child, 'SIGCONT');
    const reply = new Promise<unknown>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    this.#child.stdin?.write(`${JSON.stringify({ name, arguments: args })}\n`);
    const answer = await reply;
    signal(this.#child, 'SIGSTOP');
    return answer as Requests[N]['reply'];
  }

  /** Ends the worker and waits for it. */
  async close(): Promise<void> {
    signal(this.#child, 'SIGKILL');
    await this.#closed;
  }

  #receive(line: string): void {
    if (!line.startsWith(REPLY)) return;
    const { error, reply } = JSON.parse(line.slice(REPLY.length)) as { error?: string; reply?: unknown };
    if (error !== undefined) this.#fail(error);
    else this.#waiting?.resolve(reply);
    this.#waiting = undefined;
  }

  #fail(reason: string): void {
    this.#waiting?.reject(new Error(`${this.label}: ${reason}\n${this.#errors.trim()}`));
    this.#waiting = undefined;
  }
}
