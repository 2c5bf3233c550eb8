// Compiles src to dist and bench to dist-bench, incrementally; does nothing in an installed package,
// which ships dist and has no compiler.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = `${root}node_modules/typescript/bin/tsc`;
if (!existsSync(tsc)) process.exit(0);
for (const project of ['tsconfig.build.json', 'bench/tsconfig.json']) {
  const { status } = spawnSync(process.execPath, [tsc, '-p', `${root}${project}`], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
