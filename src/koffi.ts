/** koffi, set up once: every file that calls native code takes it from here, since no setting may change after the first library. */
import koffi from 'koffi';

// XLA and LLVM recurse deeply; koffi runs native code on stacks of its own.
koffi.config({ sync_stack_size: 16 << 20, async_stack_size: 16 << 20 });

export { koffi };
