/** What `npm pack` makes of the repository works where nothing of the repository is. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };

let root = '';
let files: string[] = [];

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'capstan-package-'));
  // Its script would build dist anew under the other tests.
  const pack = spawnSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', root], {
    encoding: 'utf8',
  });
  expect(pack.status, pack.stderr).toBe(0);
  const [packed] = JSON.parse(pack.stdout) as [{ filename: string; files: { path: string }[] }];
  files = packed.files.map(({ path }) => path);
  const installed = join(root, 'node_modules', 'capstan');
  mkdirSync(installed, { recursive: true });
  const untar = ['-xzf', join(root, packed.filename), '-C', installed, '--strip-components', '1'];
  expect(spawnSync('tar', untar).status).toBe(0);
  for (const name of Object.keys(packageJson.dependencies)) {
    const link = join(root, 'node_modules', name);
    mkdirSync(join(link, '..'), { recursive: true });
    symlinkSync(resolve('node_modules', name), link);
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function node(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('the package', () => {
  it('holds the program, its documentation and configurations, and no sources', () => {
    expect(files).toEqual(
      expect.arrayContaining([
        ...['README.md', 'CHANGELOG.md', 'LICENSE', 'package.json', 'configs/quickstart.yaml'],
        ...[
          'dist/index.js',
          'dist/index.d.ts',
          'dist/cli/main.js',
          'dist/data/image/resample.wasm',
          'docs/training.md',
          'docs/api/README.md',
        ],
      ]),
    );
    const kinds = new Set(files.map((path) => path.split('/')[0]));
    expect([...kinds].sort()).toEqual(
      ['CHANGELOG.md', 'LICENSE', 'README.md', 'configs', 'dist', 'docs', 'package.json'].sort(),
    );
    expect(files.filter((path) => /\.(map|tsbuildinfo)$/.test(path))).toEqual([]);
  });

  it('is built before it is packed', () => {
    expect(packageJson.scripts.prepack).toContain('tools/build.mjs --clean');
  });

  it('runs, and examines the machine, outside of the repository', () => {
    const main = join('node_modules', 'capstan', packageJson.bin.capstan);
    expect(node(main, '--version')).toEqual({ status: 0, stdout: `${packageJson.version}\n`, stderr: '' });
    const doctor = JSON.parse(node(main, 'doctor', '--json').stdout) as { versions: { capstan: string } };
    expect(doctor.versions.capstan).toBe(packageJson.version);
    const build = node(main, 'data', 'build', 'emoji', '--limit', '1', '--size', '16', '--workers', '1');
    expect(build.status, build.stderr).toBe(0);
  });

  it('can be imported by its name', () => {
    const script = "import { clipPresets } from 'capstan'; console.log(Object.keys(clipPresets).length > 0);";
    const { status, stdout, stderr } = node('--input-type=module', '--eval', script);
    expect({ status, stdout }, stderr).toEqual({ status: 0, stdout: 'true\n' });
  });
});
