import { describe, expect, it } from 'vitest';
import { formatReport } from '../../../src/cli/commands/doctor.js';
import type { DoctorReport } from '../../../src/engine/doctor.js';

const report: DoctorReport = {
  usable: false,
  versions: { capstan: '1.2.3', node: '20.20.2', tensorflow: undefined, glibc: '2.36' },
  platform: 'linux-x64',
  cpu: { model: 'A CPU', cores: 8, usableCores: 2, features: { avx2: true, amx_bf16: false } },
  memory: { totalBytes: 16 * 2 ** 30, availableBytes: 8 * 2 ** 30, limitBytes: 4 * 2 ** 30 },
  cache: { directory: '/cache', freeBytes: 2 ** 30 },
  pip: 'pip3',
  library: undefined,
  tokenizer: undefined,
  devices: [],
  gpu: { driver: '550.54', missingLibraries: [{ soname: 'libcudnn.so.9', error: 'no such file' }] },
  problems: [{ severity: 'error', what: 'Something is missing.', cure: 'Bring it.' }],
};

describe('formatReport', () => {
  it('gives one fact per line, then each problem with its cure', () => {
    expect(formatReport(report).split('\n')).toEqual([
      'capstan        1.2.3',
      'Node           20.20.2',
      'TensorFlow     not loaded',
      'library        not found',
      'tokenizer      not found',
      'platform       linux-x64, glibc 2.36',
      'CPU            A CPU, 2 of 8 cores usable',
      '               avx2, no amx_bf16',
      'memory         16.0 GiB, 8.0 GiB available, limited to 4.0 GiB',
      'cache          /cache, 1.0 GiB free',
      'pip            pip3',
      'NVIDIA driver  550.54',
      'not loaded     libcudnn.so.9: no such file',
      '',
      'error: Something is missing.',
      '  Bring it.',
      '',
      'capstan cannot run here yet.',
      '',
    ]);
  });

  it('names devices with their memory where it is theirs', () => {
    const devices = [
      { name: '/device:CPU:0', type: 'CPU', memoryBytes: 2 ** 28 },
      { name: '/device:GPU:0', type: 'GPU', memoryBytes: 80 * 2 ** 30 },
    ];
    const text = formatReport({ ...report, usable: true, devices, problems: [] });
    expect(text).toContain('device         /device:CPU:0\n');
    expect(text).toContain('device         /device:GPU:0, 80.0 GiB\n');
    expect(text.endsWith('capstan can run here.\n')).toBe(true);
  });
});
