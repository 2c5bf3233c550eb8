import { execFileSync } from 'node:child_process';

/** Builds dist once: worker threads and the end-to-end tests run the compiled files. */
export function setup(): void {
  execFileSync(process.execPath, ['tools/build.mjs'], { stdio: 'inherit' });
}
