/** Work in turn: so many at a time, so many of them for one host, and none for a host that asked for a pause. */

/** Work for a host. @param release gives the host's place to the next one; the end of the work does so too */
export type HostJob = (release: () => void) => Promise<void>;

interface Host {
  readonly name: string;
  readonly waiting: HostJob[];
  active: number;
  /** By `performance.now()`. */
  pausedUntil: number;
}

/** Runs jobs. Hosts take turns, so that one with many rows does not hold up the others. */
export class HostQueue {
  readonly #hosts = new Map<string, Host>();
  /** Hosts that a job may start for, in turn. */
  readonly #ready = new Set<Host>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #numActive = 0;
  #numWaiting = 0;

  /** @param onError called with what a job throws */
  constructor(
    private readonly concurrency: number,
    private readonly perHost: number,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Whether more jobs would be begun at once or soon: those that wait may all be for hosts that are busy. */
  get isHungry(): boolean {
    return this.#numActive < this.concurrency || this.#numWaiting < 2 * this.concurrency;
  }

  /** Adds a job, which begins `delayMs` from now at the earliest. */
  add(name: string, job: HostJob, delayMs = 0): void {
    if (delayMs > 0) {
      this.#later(delayMs, () => this.add(name, job));
      return;
    }
    let host = this.#hosts.get(name);
    if (host === undefined) {
      host = { name, waiting: [], active: 0, pausedUntil: 0 };
      this.#hosts.set(name, host);
    }
    host.waiting.push(job);
    this.#numWaiting++;
    this.#offer(host);
    this.#start();
  }

  /** Begins no job for the host before `delayMs` have gone by. */
  pause(name: string, delayMs: number): void {
    const host = this.#hosts.get(name);
    const until = performance.now() + delayMs;
    if (host === undefined || until <= host.pausedUntil) return;
    host.pausedUntil = until;
    this.#ready.delete(host);
    this.#later(delayMs, () => {
      this.#offer(host);
      this.#forgetIdle(host);
      this.#start();
    });
  }

  /** Forgets all jobs that have not begun. */
  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#ready.clear();
    for (const host of this.#hosts.values()) host.waiting.length = 0;
    this.#hosts.clear();
    this.#numWaiting = 0;
  }

  #offer(host: Host): void {
    if (host.waiting.length > 0 && host.active < this.perHost && !isPaused(host)) this.#ready.add(host);
  }

  #start(): void {
    while (this.#numActive < this.concurrency) {
      const host = this.#ready.values().next().value;
      if (host === undefined) return;
      this.#ready.delete(host);
      const job = host.waiting.shift() as HostJob;
      this.#numWaiting--;
      this.#numActive++;
      host.active++;
      this.#offer(host);
      let isHeld = true;
      const release = (): void => {
        if (!isHeld) return;
        isHeld = false;
        host.active--;
        this.#offer(host);
        this.#forgetIdle(host);
        this.#start();
      };
      void job(release)
        .catch(this.onError)
        .finally(() => {
          this.#numActive--;
          release();
          this.#start();
        });
    }
  }

  #forgetIdle(host: Host): void {
    const isIdle = host.active === 0 && host.waiting.length === 0 && !isPaused(host);
    if (isIdle && this.#hosts.get(host.name) === host) this.#hosts.delete(host.name);
  }

  #later(delayMs: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, delayMs);
    this.#timers.add(timer);
  }
}

/** A timer may come a little early. */
const isPaused = ({ pausedUntil }: Host): boolean => pausedUntil - performance.now() > 1;
