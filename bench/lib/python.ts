/** The Python that the peers run on: a virtual environment of pinned packages, made by pip once per user. */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../src/assets/index.js';
import { CapstanError } from '../../src/errors.js';
import { withLock } from '../../src/lock.js';
import { repositoryRoot } from './root.js';

const execute = promisify(execFile);

/** A peer's Python cannot be had. */
export class PeerError extends CapstanError {}

/** The pinned packages, `name` to `version`. */
export function readRequirements(file: string): Map<string, string> {
  const lines = readFileSync(file, 'utf8').split('\n');
  return new Map(
    lines.filter((line) => line.trim() !== '').map((line) => line.trim().split('==') as [string, string]),
  );
}

/**
 * The interpreter to run peers with: the one that `CAPSTAN_BENCH_PYTHON` names, or that of a virtual
 * environment in capstan's cache directory, which is made if absent.
 *
 * @param requirements a file of `name==version` lines; another file makes another environment
 * @throws PeerError if there is no fit Python, pip fails, or the named interpreter lacks a pinned package
 */
export async function peerPython(
  requirements = join(repositoryRoot(), 'bench', 'peer', 'requirements.txt'),
): Promise<string> {
  const named = process.env.CAPSTAN_BENCH_PYTHON;
  if (named) {
    await checkPackages(named, readRequirements(requirements));
    return named;
  }
  const key = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16);
  const parent = join(cacheDirectory(), 'bench-venv');
  const folder = join(parent, key);
  const python = join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return python;
  await mkdir(parent, { recursive: true });
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(complete)) return;
    await rm(folder, { recursive: true, force: true });
    await makeEnvironment(folder, requirements);
    await writeFile(complete, '');
  });
  return python;
}

async function makeEnvironment(folder: string, requirements: string): Promise<void> {
  const base = await findPython();
  process.stderr.write(`Making a Python environment for the peer in ${folder} (several GB, once) …\n`);
  await run(base, ['-m', 'venv', folder], 'Python could not make a virtual environment; it may lack venv');
  const pip = ['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input', '-r', requirements];
  await run(join(folder, 'bin', 'python'), pip, 'pip could not install the peer');
}

async function findPython(): Promise<string> {
  for (const candidate of ['python3', 'python']) {
    try {
      await execute(candidate, ['-c', 'import sys, venv; sys.exit(sys.version_info < (3, 11))']);
      return candidate;
    } catch {
      // Absent, too old, or without venv.
    }
  }
  throw new PeerError(
    'Benches run their peer in Python, and none of python3 and python is a Python from 3.11 with venv. ' +
      'Install one, or let CAPSTAN_BENCH_PYTHON name an interpreter that has the packages of ' +
      'bench/peer/requirements.txt.',
  );
}

/** Runs a program with its output on standard error. */
async function run(program: string, args: readonly string[], failure: string): Promise<void> {
  const status = await new Promise<number | null>((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 2, 2] });
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (status === 0) return;
  throw new PeerError(
    `${failure} (${program} ${args.join(' ')} ended with code ${status}; its message is above). ` +
      'CAPSTAN_BENCH_PYTHON may name an interpreter that has the packages of bench/peer/requirements.txt.',
  );
}

const PRINT_VERSIONS = `
import importlib.metadata as metadata, json, sys
def version(name):
    try: return metadata.version(name)
    except metadata.PackageNotFoundError: return None
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
`;

async function checkPackages(python: string, wanted: ReadonlyMap<string, string>): Promise<void> {
  let found: Record<string, string | null>;
  try {
    const { stdout } = await execute(python, ['-c', PRINT_VERSIONS, ...wanted.keys()]);
    found = JSON.parse(stdout) as Record<string, string | null>;
  } catch (error) {
    throw new PeerError(`CAPSTAN_BENCH_PYTHON is ${python}, which does not run as a Python from 3.8`, {
      cause: error,
    });
  }
  // A local version label such as 2.15.0+cpu names another build of the same release.
  const wrong = [...wanted].filter(([name, version]) => found[name]?.split('+')[0] !== version);
  if (wrong.length === 0) return;
  const list = wrong.map(([name, version]) => `${name} ${found[name] ?? 'none'} instead of ${version}`);
  throw new PeerError(
    `CAPSTAN_BENCH_PYTHON is ${python}, which has ${list.join(', ')}. Install bench/peer/requirements.txt ` +
      'there, or unset the variable to have an environment made.',
  );
}
