// Compiles src to dist and bench to dist-bench, incrementally; does nothing in an installed package,
// which ships dist and has no compiler. With --clean it begins from nothing, so that no file of a source that is
// gone stays in dist: what is packed is made so.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = `${root}node_modules/typescript/bin/tsc`;
if (!existsSync(tsc)) process.exit(0);
if (process.argv.includes('--clean')) {
  for (const made of ['dist', 'dist-bench']) rmSync(`${root}${made}`, { recursive: true, force: true });
}
for (const project of ['tsconfig.build.json', 'bench/tsconfig.json']) {
  const { status } = spawnSync(process.execPath, [tsc, '-p', `${root}${project}`], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
