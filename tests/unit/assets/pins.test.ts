import { describe, expect, it } from 'vitest';
import { openClipText, tensorflowCpu, tensorflowCuda } from '../../../src/assets/index.js';
import { cudaLibraryNames } from '../../../src/engine/cuda.js';

const assets = [...Object.values(tensorflowCpu), tensorflowCuda, openClipText];

describe('pins', () => {
  it('hold each wheel to a checksum, a size and its members', () => {
    for (const { wheels } of assets) {
      for (const wheel of wheels) {
        expect(wheel.sha256).toMatch(/^[0-9a-f]{64}$/);
        expect(wheel.bytes).toBeGreaterThan(1e6);
        expect(wheel.members.length).toBeGreaterThan(0);
        // The file's name starts with the package's, normalised, and its version.
        const stem = `${wheel.package.replaceAll('-', '_')}-${wheel.version}-`;
        expect(wheel.file.startsWith(stem), wheel.file).toBe(true);
      }
    }
    const sums = assets.flatMap(({ wheels }) => wheels.map(({ sha256 }) => sha256));
    expect(new Set(sums).size).toBe(sums.length);
    expect(new Set(assets.map(({ name }) => name)).size).toBe(assets.length);
  });

  it('bring every CUDA library that is preloaded, and what XLA needs to assemble kernels', () => {
    const members = tensorflowCuda.wheels.flatMap((wheel) => wheel.members);
    const names = members.map((member) => member.slice(member.lastIndexOf('/') + 1));
    expect(names).toEqual(expect.arrayContaining([...cudaLibraryNames]));
    expect(members).toEqual(
      expect.arrayContaining([
        'nvidia/cuda_nvcc/bin/ptxas',
        'nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc',
      ]),
    );
  });
});
