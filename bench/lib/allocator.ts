/** glibc's allocator as a process has it that does not ask for anything else. */
import { koffi } from '../../src/koffi.js';

const M_TRIM_THRESHOLD = -1;
const M_MMAP_THRESHOLD = -3;
const M_MMAP_MAX = -4;

/**
 * Takes back what the engine sets for its process, so that tfjs runs as it does under tfjs-node. The thresholds are
 * those that glibc reaches by itself once buffers as large as a training step's have been freed.
 */
export function useDefaultAllocator(): void {
  if (process.platform !== 'linux') return;
  const mallopt = koffi.load('libc.so.6').func('int mallopt(int parameter, int value)');
  mallopt(M_MMAP_THRESHOLD, 32 * 2 ** 20);
  mallopt(M_TRIM_THRESHOLD, 64 * 2 ** 20);
  mallopt(M_MMAP_MAX, 65_536);
}
