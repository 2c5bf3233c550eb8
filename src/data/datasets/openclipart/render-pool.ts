/** Processes that draw SVG files, each ended when a file takes it too long, too much memory or its life. */
import { type ChildProcess, fork } from 'node:child_process';
import { builtFile } from '../../../built-file.js';
import type { RenderReply, RenderRequest } from './render-process.js';

/** Draws files in that many processes. */
export class RenderPool {
  readonly #idle: ChildProcess[] = [];
  readonly #all = new Set<ChildProcess>();

  /** @param timeoutMs how long a file may take to draw. */
  constructor(private readonly timeoutMs: number) {}

  /** Draws a file in a process that has nothing to do, or a new one. Never rejects because of the file. */
  async render(request: RenderRequest): Promise<RenderReply> {
    const child = this.#idle.pop() ?? this.#start();
    const reply = await this.#ask(child, request);
    if (child.connected && child.exitCode === null && !child.killed) this.#idle.push(child);
    return reply;
  }

  /** Ends all processes, also those at work. */
  close(): void {
    for (const child of this.#all) child.kill('SIGKILL');
  }

  #start(): ChildProcess {
    const child = fork(builtFile(import.meta.url, './render-process.js'), {
      serialization: 'advanced',
      // libvips writes warnings about files to the error stream; the replies say what matters.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: [],
    });
    this.#all.add(child);
    child.once('exit', () => this.#all.delete(child));
    child.on('error', () => child.kill('SIGKILL'));
    return child;
  }

  #ask(child: ChildProcess, request: RenderRequest): Promise<RenderReply> {
    return new Promise((resolve) => {
      const settle = (reply: RenderReply, end: boolean): void => {
        clearTimeout(timer);
        child.off('message', onMessage).off('exit', onExit);
        if (end) child.kill('SIGKILL');
        resolve(reply);
      };
      const onMessage = (reply: unknown): void => {
        const answer = reply as RenderReply;
        // A process that gave up for its memory is about to end.
        settle(answer, 'reason' in answer && answer.reason.startsWith('needs more'));
      };
      const onExit = (code: number | null, signal: string | null): void =>
        settle({ reason: `ended the renderer (${signal ?? `exit code ${code}`})` }, false);
      const timer = setTimeout(
        () => settle({ reason: `takes longer than ${this.timeoutMs / 1000} s to draw` }, true),
        this.timeoutMs,
      );
      child.on('message', onMessage).on('exit', onExit);
      child.send(request, () => undefined); // a process that has gone is reported by its exit
    });
  }
}
