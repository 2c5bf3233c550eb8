/** Our side of the loader bench: takes batches as it is told on standard input; see lib/protocol.ts. */
import { readFileSync } from 'node:fs';
import { openSource } from '../src/data/datasets/open.js';
import { decodeImage } from '../src/data/image/decode.js';
import { createLoader, type Loader } from '../src/data/loader.js';
import type { LoaderSetup, MemoryReply, RequestName, Requests } from './lib/protocol.js';
import { serveRequests } from './lib/serve-requests.js';

/** Files that are decoded for the limit, again and again. */
const NUM_DECODED = 64;

let opened: { loader: Loader; setup: LoaderSetup } | undefined;

function current(): { loader: Loader; setup: LoaderSetup } {
  if (!opened) throw new Error('the first request must be load');
  return opened;
}

async function load(setup: LoaderSetup): Promise<Requests['load']['reply']> {
  const { folder, format, batchSize, imageSize, workers, seed } = setup;
  const loader = await createLoader({
    source: `${folder}/${format}`,
    captions: { alt: 1 },
    contextLength: 77,
    transform: 'train',
    maxSkipRatio: 0,
    ...{ batchSize, imageSize, workers, seed },
  });
  opened = { loader, setup };
  await loader.next();
  return { versions: {} };
}

const processorMs = (since?: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
};

async function takeBatches(count: number): Promise<Requests['steps']['reply']> {
  const { loader } = current();
  const stepMs: number[] = [];
  const before = process.cpuUsage();
  const mainBefore = mainThreadMs();
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    const batch = await loader.next();
    stepMs.push(performance.now() - started);
    loader.recycle(batch); // as the training loop does
  }
  const mainAfter = mainThreadMs();
  return {
    stepMs,
    losses: [],
    processorMs: processorMs(before),
    ...(mainBefore === undefined || mainAfter === undefined ? {} : { mainThreadMs: mainAfter - mainBefore }),
  };
}

/** A hundredth of a second is what Linux counts threads' time in. */
const MS_PER_TICK = 10;

/** Milliseconds that this thread has worked, where that can be known. */
function mainThreadMs(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const stat = readFileSync(`/proc/self/task/${process.pid}/stat`, 'latin1');
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (user + system) * MS_PER_TICK;
}

async function decodeFor(seconds: number): Promise<Requests['decode']['reply']> {
  const { folder, format } = current().setup;
  const source = await openSource(`${folder}/${format}`);
  const rows = await source.readRows([...Array(NUM_DECODED).keys()], ['image']);
  await source.close();
  const before = process.cpuUsage();
  const end = performance.now() + 1000 * seconds;
  let images = 0;
  for (; performance.now() < end; images++)
    await decodeImage(rows[images % NUM_DECODED]?.image as Uint8Array);
  return { images, processorMs: processorMs(before) };
}

function readMemory(): MemoryReply {
  return { residentBytes: process.memoryUsage.rss(), peakBytes: process.resourceUsage().maxRSS * 1024 };
}

async function answer(name: RequestName, args: unknown): Promise<unknown> {
  switch (name) {
    case 'load':
      return load(args as LoaderSetup);
    case 'steps':
      return takeBatches((args as { count: number }).count);
    case 'decode':
      return decodeFor((args as { seconds: number }).seconds);
    case 'memory':
      return readMemory();
    default:
      throw new Error(`this worker loads, and does not ${name}`);
  }
}

await serveRequests(answer);
