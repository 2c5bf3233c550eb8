// Compiles src to dist, bench to dist-bench and assembly to WebAssembly in both, incrementally; does nothing in an installed package,
// which ships dist and has no compiler. With --clean it begins from nothing, so that no file of a source that is
// gone stays in dist: what is packed is made so.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, rmSync, statSync } from 'node:fs';
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

const asc = `${root}node_modules/assemblyscript/bin/asc.js`;
const options = ['--enable', 'simd', '--runtime', 'stub', '-O3', '--converge', '--noAssert'];
for (const [name, folder] of [
  ['resample', 'data/image'],
  ['lz4', 'data/sources'],
]) {
  const source = `${root}assembly/${name}.ts`;
  const wasm = `${folder}/${name}.wasm`;
  if (!isNewer(`${root}dist/${wasm}`, source)) {
    const { status } = spawnSync(process.execPath, [asc, source, '-o', `${root}dist/${wasm}`, ...options], {
      stdio: 'inherit',
    });
    if (status !== 0) process.exit(status ?? 1);
  }
  copyFileSync(`${root}dist/${wasm}`, `${root}dist-bench/src/${wasm}`);
}

function isNewer(made, source) {
  return existsSync(made) && statSync(made).mtimeMs > statSync(source).mtimeMs;
}
