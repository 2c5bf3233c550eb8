/** Threads that take jobs from one queue. */
import { parentPort, Worker } from 'node:worker_threads';
import type { DataError } from '../errors.js';

/** Jobs that a thread holds at a time: one that it works on and one that waits, so that it never idles. */
const JOBS_PER_THREAD = 2;

/** A job as a thread is sent it. */
export interface ThreadRequest<In> {
  readonly id: number;
  readonly job: In;
}

/** What a thread sends back. */
export interface ThreadReply<Out> {
  readonly id: number;
  readonly result: Out;
}

/** What differs between pools. */
export interface ThreadPoolOptions<In> {
  /** Memory of a job that is moved to the thread, not copied. */
  readonly transfer: (job: In) => ArrayBuffer[];
  /** The error of every job once a thread has stopped by itself. */
  readonly stopped: (what: string, cause: unknown) => DataError;
  /** The error of every job once the pool is closed. */
  readonly closed: () => DataError;
}

interface Job<In, Out> {
  readonly request: ThreadRequest<In>;
  readonly resolve: (result: Out) => void;
  readonly reject: (error: Error) => void;
}

interface Slot<In, Out> {
  readonly worker: Worker;
  readonly jobs: Map<number, Job<In, Out>>;
  /** Resolves when the thread is gone. */
  readonly ended: Promise<void>;
}

/** What a thread is told when it is to end. */
const END = 'end';

/** A thread that has not let go of its job by then is stopped in the middle of it. */
const PATIENCE_MS = 5000;

/**
 * Ends a thread after the job that it does. Stopped in the middle of one, native code that works for it (libvips,
 * tokenizers) has nobody left to report to when it is done, and aborts the process.
 */
async function endThread({ worker, ended }: Pick<Slot<never, never>, 'worker' | 'ended'>): Promise<void> {
  worker.ref();
  worker.postMessage(END);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<true>((resolve) => {
    timer = setTimeout(() => resolve(true), PATIENCE_MS);
  });
  if (await Promise.race([ended, late])) await worker.terminate();
  clearTimeout(timer);
}

/**
 * Threads of one module, which answers each {@link ThreadRequest} with a {@link ThreadReply} ({@link serveThread}). If a
 * thread stops, every job under way and every later one is rejected with the cause: one lost silently would change
 * the order of the rest.
 */
export class ThreadPool<In, Out> {
  /** Jobs worth having under way at a time. */
  readonly capacity: number;
  readonly #slots: Slot<In, Out>[];
  readonly #queue: Job<In, Out>[] = [];
  #nextId = 0;
  #failure: DataError | undefined;
  #isClosing = false;

  /** @param data what each thread is started with */
  constructor(
    file: URL,
    numThreads: number,
    data: unknown,
    private readonly options: ThreadPoolOptions<In>,
  ) {
    this.capacity = numThreads * JOBS_PER_THREAD + 1;
    this.#slots = Array.from({ length: numThreads }, () => this.#start(file, data));
  }

  /** Identifiers of the threads that run. */
  get threadIds(): number[] {
    return this.#slots.map(({ worker }) => worker.threadId);
  }

  /** Has a thread do the job. @throws DataError if a thread stopped or the pool was closed */
  run(job: In): Promise<Out> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#queue.push({ request: { id: this.#nextId++, job }, resolve, reject });
      this.#dispatch();
    });
  }

  /**
   * Ends all work; jobs under way are rejected, and done when their threads have let go of them. May be called again.
   */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#fail(this.options.closed());
    await Promise.all(this.#slots.map(endThread));
  }

  #start(file: URL, data: unknown): Slot<In, Out> {
    const { stopped } = this.options;
    const worker = new Worker(file, { workerData: data });
    const ended = new Promise<void>((resolve) => {
      worker.once('exit', () => resolve());
    });
    const slot: Slot<In, Out> = { worker, jobs: new Map(), ended };
    worker.unref(); // only work under way keeps the process alive
    worker.on('message', ({ id, result }: ThreadReply<Out>) => {
      slot.jobs.get(id)?.resolve(result);
      slot.jobs.delete(id);
      // A reply may come while the threads are being ended, which has to keep the process alive until it is done.
      if (slot.jobs.size === 0 && !this.#isClosing) worker.unref();
      this.#dispatch();
    });
    worker.on('error', (cause) => this.#fail(stopped(errorText(cause), cause)));
    worker.on('messageerror', (cause) => this.#fail(stopped(errorText(cause), cause)));
    worker.on('exit', (code) => this.#fail(stopped(`it left with exit code ${code}`, undefined)));
    return slot;
  }

  #dispatch(): void {
    if (this.#failure !== undefined) return;
    while (this.#queue.length > 0) {
      const slot = this.#slots.reduce((least, other) => (other.jobs.size < least.jobs.size ? other : least));
      if (slot.jobs.size >= JOBS_PER_THREAD) return;
      const job = this.#queue.shift() as Job<In, Out>;
      slot.jobs.set(job.request.id, job);
      slot.worker.ref();
      slot.worker.postMessage(job.request, this.options.transfer(job.request.job));
    }
  }

  #fail(error: DataError): void {
    this.#failure ??= error;
    for (const job of this.#queue.splice(0)) job.reject(this.#failure);
    for (const { jobs } of this.#slots) {
      for (const job of jobs.values()) job.reject(this.#failure);
      jobs.clear();
    }
  }
}

const errorText = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/**
 * The thread's side: does the jobs that it is sent, one after the other. Does nothing in the main thread.
 *
 * @param transfer memory of a result that is moved back, not copied
 */
export function serveThread<In, Out>(
  work: (job: In) => Promise<Out>,
  transfer: (result: Out) => ArrayBuffer[],
): void {
  const port = parentPort;
  if (port === null) return;
  let last: Promise<void> = Promise.resolve();
  let isEnding = false;
  const answer = async ({ id, job }: ThreadRequest<In>): Promise<void> => {
    if (isEnding) return;
    const result = await work(job);
    const reply: ThreadReply<Out> = { id, result };
    port.postMessage(reply, transfer(result));
  };
  port.on('message', (request: ThreadRequest<In> | typeof END) => {
    if (request === END) {
      isEnding = true;
      // With nothing left to listen to, the thread ends by itself.
      void last.finally(() => port.close());
      return;
    }
    last = last.then(() => answer(request));
    // What the work does not catch is a bug: rethrown outside the chain it ends the thread, and the pool reports it.
    last.catch((error: unknown) => {
      setImmediate(() => {
        throw error;
      });
    });
  });
}
