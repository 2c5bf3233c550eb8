/** Our side of the CLIP benches: trains as it is told on standard input; see lib/protocol.ts. */
import { compile, startEngine, tf } from '../src/engine/index.js';
import { session } from '../src/engine/session.js';
import { useDefaultAllocator } from './lib/allocator.js';
import { type ClipTraining, startTraining } from './lib/clip-training.js';
import type { MemoryReply, RequestName, Requests, TrainingSetup } from './lib/protocol.js';
import { serveRequests } from './lib/serve-requests.js';

let training: ClipTraining | undefined;
let precision: TrainingSetup['precision'] = 'fp32';

function current(): ClipTraining {
  if (!training) throw new Error('the first request must be setup');
  return training;
}

async function setUp(setup: TrainingSetup): Promise<{ versions: Record<string, string> }> {
  const info = await startEngine({
    device: 'cpu',
    threads: setup.threads,
    ...(setup.compileCache === undefined ? {} : { compileCache: setup.compileCache }),
  });
  if (setup.mode === 'tfjs') useDefaultAllocator();
  precision = setup.precision;
  training = await startTraining(setup);
  return { versions: { TensorFlow: info.tensorflow } };
}

async function runSteps(count: number): Promise<Requests['steps']['reply']> {
  const stepMs: number[] = [];
  const losses: number[] = [];
  const before = process.cpuUsage();
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    losses.push(await current().step());
    stepMs.push(performance.now() - started);
  }
  const { user, system } = process.cpuUsage(before);
  return { stepMs, losses, processorMs: (user + system) / 1000 };
}

/** Products in a chain, so that casts to bfloat16 and calls count for little. */
const CHAIN = 8;

function measureMatmul(size: number, repeats: number): { gflopsPerSecond: number } {
  const entries = (): tf.Tensor => tf.randomNormal([size, size], 0, size ** -0.5);
  const [a, b] = [entries(), entries()];
  const chain = compile(
    (x: tf.Tensor, y: tf.Tensor) => {
      let product = x;
      for (let i = 0; i < CHAIN; i++) product = tf.matMul(product, y);
      return product;
    },
    { precision, name: 'matmuls' },
  );
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < repeats + 1; i++) {
    const started = performance.now();
    chain(a, b).dispose();
    best = Math.min(best, performance.now() - started);
  }
  tf.dispose([a, b]);
  chain.dispose();
  return { gflopsPerSecond: (CHAIN * 2 * size ** 3) / best / 1e6 };
}

function readMemory(): MemoryReply {
  return {
    residentBytes: process.memoryUsage.rss(),
    peakBytes: process.resourceUsage().maxRSS * 1024,
    numTensors: tf.memory().numTensors,
    numHandles: session().binding.getNumOfTensors(),
  };
}

async function answer(name: RequestName, args: unknown): Promise<unknown> {
  switch (name) {
    case 'setup':
      return setUp(args as TrainingSetup);
    case 'steps':
      return runSteps((args as { count: number }).count);
    case 'matmul': {
      const { size, repeats } = args as { size: number; repeats: number };
      return measureMatmul(size, repeats);
    }
    case 'memory':
      return readMemory();
    default:
      throw new Error(`this worker trains, and does not ${name}`);
  }
}

await serveRequests(answer);
