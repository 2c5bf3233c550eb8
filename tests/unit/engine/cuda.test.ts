import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  cudaLibraryNames,
  describeMissingCuda,
  explainMissingCuda,
  requiredCudaSonames,
} from '../../../src/engine/cuda.js';

const root = mkdtempSync(join(tmpdir(), 'capstan-cuda-'));
afterAll(() => rmSync(root, { recursive: true }));

describe.runIf(process.platform === 'linux')('explainMissingCuda', () => {
  it('gives the loader its own words for a library that came along and is damaged', () => {
    const damaged = join(root, 'libcufft.so.11');
    writeFileSync(damaged, 'not a library');
    const missing = explainMissingCuda({ cudaLibraries: [damaged] });
    const cufft = missing.find(({ soname }) => soname === 'libcufft.so.11');
    expect(cufft?.error).toMatch(/libcufft\.so\.11: (file too short|invalid ELF header)$/);
    for (const { soname } of missing) expect(requiredCudaSonames).toContain(soname);
  });
});

describe('describeMissingCuda', () => {
  it('names each library and the cure for a missing driver', () => {
    const text = describeMissingCuda([{ soname: 'libcuda.so.1', error: 'no such file' }]);
    expect(text).toContain('libcuda.so.1: no such file');
    expect(text).toContain('NVIDIA driver');
  });

  it('names the cure for a missing toolkit library', () => {
    expect(describeMissingCuda([{ soname: 'libcudnn.so.9', error: 'x' }])).toMatch(
      /libcudnn\.so\.9: x\n.*cuDNN 9/s,
    );
  });

  it('looks at the driver when every library loads', () => {
    expect(describeMissingCuda([])).toMatch(/All CUDA libraries load.*CUDA_VISIBLE_DEVICES/);
  });
});

it('preloads every library that TensorFlow opens by name, but for the driver', () => {
  const own = requiredCudaSonames.filter((name) => name !== 'libcuda.so.1');
  expect(cudaLibraryNames).toEqual(expect.arrayContaining(own));
});
