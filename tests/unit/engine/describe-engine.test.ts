import { cpus } from 'node:os';
import { describe, expect, it } from 'vitest';
import { engineLines } from '../../../src/engine/describe-engine.js';

const cpu = { name: '/device:CPU:0', type: 'CPU', memoryBytes: 2 ** 28 };
const gpu = { name: '/device:GPU:0', type: 'GPU', memoryBytes: 75 * 2 ** 30 };
const model = cpus()[0]?.model.trim() || 'unknown processor';

describe('engineLines', () => {
  it('names the processor and the threads', () => {
    const onCpu = { device: 'cpu', devices: [cpu], threads: 2 } as const;
    expect(engineLines(onCpu, {})).toEqual([`capstan computes on cpu: ${model}, 2 threads`]);
    expect(engineLines({ ...onCpu, threads: 1 }, {})).toEqual([
      `capstan computes on cpu: ${model}, 1 thread`,
    ]);
  });

  it('names the GPU, and does without its name', () => {
    const onGpu = { device: 'cuda', devices: [cpu, gpu], threads: 2 } as const;
    expect(engineLines(onGpu, { gpu: 'NVIDIA H100' })).toEqual([
      'capstan computes on cuda: NVIDIA H100, 75.0 GiB',
    ]);
    expect(engineLines(onGpu, {})).toEqual(['capstan computes on cuda: a GPU that tells no name, 75.0 GiB']);
  });

  it('warns of a GPU that lies idle, with the library that did not load', () => {
    const missing = [{ soname: 'libcudnn.so.9', error: 'cannot open shared object file' }];
    const [, warning] = engineLines(
      { device: 'cpu', devices: [cpu], threads: 2 },
      { idle: { driver: '550.54', missing } },
    );
    expect(warning).toMatch(
      /^Warning: There is an NVIDIA driver \(550\.54\), but TensorFlow registered no GPU\. Did not load: libcudnn\.so\.9\./,
    );
  });
});
