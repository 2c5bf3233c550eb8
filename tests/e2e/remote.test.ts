/** Whole runs on data of a server that misbehaves, and on files that go away: the same samples, or a clear error. */
import { existsSync } from 'node:fs';
import {
  appendFile,
  cp,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  capstan,
  capstanWithin,
  checkpointDigests,
  checkpointOf,
  type Finished,
  loggedRows,
  set,
  start,
  untimed,
  writeTinyConfig,
} from '../support/cli.js';
import { writeNoiseShards } from '../support/noise-shards.js';
import { etagOf, type RangeServer, rangeOf, startRangeServer } from '../support/range-server.js';

const STEPS = 9;
const PATTERN = 'train-{00000..00002}.arrow';
let root = '';
let server: RangeServer;
let config = '';
let names: string[] = [];
/** Of the run on local files, which nothing disturbs. */
let reference: Record<string, string>;
const runDir = (name: string): string => join(root, 'runs', name);

/** Each run has a cache of its own, so that it asks the server. */
const sets = (name: string, ...more: string[]): string[] => [
  ...set(`run.name=${name}`, `data.storage.cacheDir=${join(root, 'cache', name)}`, ...more),
];
const train = (name: string, ...more: string[]): Promise<Finished> =>
  capstan('train', config, ...sets(name), ...more);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'capstan-remote-'));
  server = await startRangeServer();
  names = await writeNoiseShards(join(root, 'data'), { numShards: 3, rowsPerShard: 24, groupRows: 12 });
  const fixed = { runs: join(root, 'runs'), steps: STEPS, checkpointEvery: 2 };
  config = await writeTinyConfig(join(root, 'remote.yaml'), {
    data: `'${server.url(`/${PATTERN}`)}'`,
    ...fixed,
  });
  const text = await readFile(config, 'utf8');
  // Shards are read one after the other, and each piece when it is needed.
  const reading = [
    '  prefetch: 1',
    '  shuffleBuffer: 8',
    '  storage: { tries: 8, retryDelaySeconds: 0.01, timeoutSeconds: 1, readAheadMiB: 0 }',
  ];
  await writeFile(config, text.replace('  workers: 1', ['  workers: 1', ...reading].join('\n')));
  await restore();
  const local = await capstan('train', config, ...sets('local', `data.path=${join(root, 'data', PATTERN)}`));
  expect(local.code, local.stderr).toBe(0);
  expect(local.stderr).not.toContain('Remote data');
  reference = await parameters('local');
});
afterEach(async () => {
  server.trick = undefined;
  await restore();
});
afterAll(async () => {
  await server.close();
  await rm(root, { recursive: true, force: true });
});

async function restore(): Promise<void> {
  for (const name of names) server.files.set(`/${name}`, await readFile(join(root, 'data', name)));
}

/** All that a run's samples decide: parameters and moments; where the data are is in the state alone. */
async function parameters(name: string, step = STEPS): Promise<Record<string, string>> {
  const { 'state.json': _, ...digests } = await checkpointDigests(runDir(name), step);
  return digests;
}

/** Whether rows are asked for, and not only how the file is laid out. */
function isForRows({ headers }: IncomingMessage): boolean {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
  return Number(to) - Number(from) > 70_000;
}

/** Tells the requests for rows of the shard that is read last: those of the third file that comes up. */
function ofLastShard(): (request: IncomingMessage) => boolean {
  const seen = new Set<string>();
  return (request) => {
    if (!isForRows(request)) return false;
    seen.add(request.url as string);
    return [...seen].indexOf(request.url as string) === 2;
  };
}

function answerRange(
  request: IncomingMessage,
  response: ServerResponse,
  change: object,
  body = 70_000,
): void {
  const file = server.files.get(request.url as string) as Uint8Array;
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') as unknown as [
    string,
    string,
    string,
  ];
  const headers = {
    etag: etagOf(file),
    'content-length': Number(to) + 1 - Number(from),
    'content-range': rangeOf(Number(from), Number(to), file.length),
  };
  response.writeHead(206, { ...headers, ...change });
  response.write(file.subarray(Number(from), Number(from) + body));
}

function expectFailure({ code, stderr }: Finished, ...parts: RegExp[]): void {
  for (const part of parts) expect(stderr).toMatch(part);
  expect(stderr).not.toMatch(/\n\s+at |bug in capstan/);
  expect(code, stderr).toBe(1);
}

/** The run has a checkpoint, and goes on from it to the result of the run that nothing disturbed. */
async function expectGoesOn(name: string, ...more: string[]): Promise<void> {
  server.trick = undefined;
  await restore();
  const resumed = await train(name, ...more, '--resume', 'auto');
  expect(resumed.code, resumed.stderr).toBe(0);
  expect(await parameters(name)).toEqual(reference);
  const rows = untimed(await loggedRows(runDir(name)));
  expect(rows).toEqual(untimed(await loggedRows(runDir('local'))));
}

const WAY_ON =
  /The newest checkpoint is \S+step-0000000[2468]\. Once that is mended, go on with: .*--resume auto/;

describe('a run on a server', () => {
  it('that stalls, resets, ends early, trickles and is overloaded has the samples of local files; retries are told', async () => {
    const tricks: ((request: IncomingMessage, response: ServerResponse) => void)[] = [
      () => undefined, // never answers
      (request, response) => answerRange(request, response, {}), // stalls in the midst
      (request, response) => {
        answerRange(request, response, {});
        setTimeout(() => response.destroy(), 20); // resets
      },
      (request, response) => {
        answerRange(request, response, { 'content-length': 70_000 });
        response.end(); // ends early
      },
      (_request, response) => void response.writeHead(503).end(),
      (_request, response) => void response.writeHead(429, { 'retry-after': '0' }).end(),
    ];
    server.trick = (request, response) => {
      const trick = isForRows(request) ? tricks.shift() : undefined;
      trick?.(request, response);
      return trick !== undefined;
    };
    const result = await train('shaky');
    expect(result.code, result.stderr).toBe(0);
    expect(tricks).toEqual([]);
    expect(result.stderr).toMatch(
      /Remote data: \d+\.\d MiB fetched, \d+ requests, 6 of them tried again after a failure/,
    );
    expect(await parameters('shaky')).toEqual(reference);
    // What was fetched is not fetched again.
    const before = server.seen.length;
    await cp(join(root, 'cache', 'shaky'), join(root, 'cache', 'warm'), { recursive: true });
    const warm = await train('warm');
    expect(warm.stderr).toMatch(/Remote data: .*; \d+ blocks from the disk cache\./);
    expect(server.seen.slice(before).every(({ range }) => range === 'bytes=0-0')).toBe(true);
    expect(await parameters('warm')).toEqual(reference);
  });

  it('that loses a shard ends with its address, keeps the checkpoint, and goes on once it is back', async () => {
    const isLast = ofLastShard();
    server.trick = (request, response) => {
      if (!isLast(request)) return false;
      response.writeHead(404).end();
      return true;
    };
    const result = await train('vanished');
    expectFailure(
      result,
      /http:\S+\/train-0000\d\.arrow: cannot be read: the server answered 404.*\(1 try\)/,
      WAY_ON,
    );
    await expectGoesOn('vanished');
  });

  it.each<[string, RegExp, (request: IncomingMessage, response: ServerResponse) => void]>([
    [
      'the whole file instead of a range',
      /does not serve byte ranges rightly: asked for bytes .*, got the whole file.*Copy the file/,
      (_request, response) => void response.writeHead(200, { 'content-length': 5 }).end('whole'),
    ],
    [
      'another range',
      /does not serve byte ranges rightly: asked for bytes (\d+)-\d+, got bytes 7-/,
      (request, response) => {
        const file = server.files.get(request.url as string) as Uint8Array;
        answerRange(request, response, { 'content-range': rangeOf(7, 1_000_006, file.length) });
      },
    ],
    [
      'another version of the file',
      /the file was changed while it was read: opened with version .*Start again/,
      (request, response) => answerRange(request, response, { etag: '"other"' }),
    ],
    [
      'bodies that end early, again and again',
      /cannot be read: .*(ended|broke) after 70000 of \d+ bytes.*\(8 tries\).*raise the storage option tries/,
      (request, response) => {
        answerRange(request, response, {});
        setTimeout(() => response.destroy(), 5);
      },
    ],
  ])('that sends %s ends with what to do', async (_what, message, trick) => {
    const isLast = ofLastShard();
    server.trick = (request, response) => {
      if (!isLast(request)) return false;
      trick(request, response);
      return true;
    };
    const name = `lied-${server.seen.length}`;
    expectFailure(await train(name), /error: http:\S+\/train-0000\d\.arrow: /, message, WAY_ON);
    expect(existsSync(checkpointOf(runDir(name), 4))).toBe(true);
  });

  it('that lacks a shard at the start does not begin, and names it', async () => {
    server.files.delete('/train-00001.arrow');
    expectFailure(await train('lacking'), /error: http:\S+\/train-00001\.arrow: cannot be read: .*404/);
    expect(existsSync(join(runDir('lacking'), 'config.yaml'))).toBe(false);
  });

  it('goes on from a copy on this machine, and refuses another content under the same names and sizes', async () => {
    const isLast = ofLastShard();
    server.trick = (request, response) => {
      if (!isLast(request)) return false;
      response.writeHead(404).end();
      return true;
    };
    expectFailure(await train('moved'), /404/, WAY_ON);
    server.trick = undefined;
    const name = names[1] as string;
    const replaced = Uint8Array.from(server.files.get(`/${name}`) as Uint8Array);
    // A pixel of the last picture.
    replaced[1_500_000] = (replaced[1_500_000] as number) ^ 1;
    server.files.set(`/${name}`, replaced);
    const refused = await train('moved', '--resume', 'auto');
    expectFailure(
      refused,
      /error: .*shards of http:\S+ were replaced since: their server gives them other ETags/,
    );
    const local = set(`data.path=${join(root, 'data', PATTERN)}`);
    await expectGoesOn('moved', ...local);
  });

  it('survives kill -9 while the cache is written', async () => {
    let numServed = 0;
    const running = start('train', config, ...sets('killed'));
    server.trick = (request, response) => {
      if (!isForRows(request) || ++numServed < 3) return false;
      server.serve(request, response);
      response.on('finish', () => running.process.kill('SIGKILL'));
      return true;
    };
    expect((await running.finished).signal).toBe('SIGKILL');
    await expectGoesOn('killed');
  });

  it.runIf(process.platform === 'linux')(
    'goes on without a cache where the disk is full or closed, and says so once',
    async () => {
      const closed = await train('closed', ...set('data.storage.cacheDir=/proc/capstan'));
      expect(closed.code, closed.stderr).toBe(0);
      expect(closed.stderr.match(/Warning: The cache of remote data cannot be written/g)).toHaveLength(1);
      expect(await parameters('closed')).toEqual(reference);
      const evaluated = ['eval.zeroShot=[{classes: ssc, templates: emoji}]', 'eval.split=train'];
      const full = await capstanWithin(100, 'train', config, ...sets('full', ...evaluated), '--dry-run');
      expect(full.stderr).toMatch(
        /cannot be written \((EFBIG|ENOSPC)[^)]*\); data are fetched without it\. Free some space/,
      );
      expect(full.code, full.stderr).toBe(0);
      const left = await readdir(join(root, 'cache', 'full'), { recursive: true });
      expect(left.filter((name) => name.endsWith('.tmp'))).toEqual([]);
    },
  );
});

describe('a run on local shards', () => {
  it.each<[string, RegExp, (path: string) => Promise<void>]>([
    [
      'vanish',
      /cannot be opened any more \(ENOENT.*Put the file back/,
      (path) => rename(path, `${path}.away`),
    ],
    [
      'are cut off',
      /is cut off or damaged: expected \d+ bytes, found 1000000/,
      (path) => truncate(path, 1_000_000),
    ],
    [
      'are replaced',
      /was changed while it was read/,
      (path) => appendFile(path, 'x').then(() => truncate(path, 2_400_000)),
    ],
  ])('that %s ends with the file and the way on', async (what, message, damage) => {
    const name = `local-${what.split(' ').at(-1)}`;
    const folder = join(root, name);
    await cp(join(root, 'data'), folder, { recursive: true });
    const local = set(`data.path=${join(folder, PATTERN)}`, 'train.steps=400');
    const running = start('train', config, ...sets(name), ...local);
    // Whichever shards it has read, its rows are read anew from time to time: the reader holds few.
    while (!existsSync(checkpointOf(runDir(name), 2)) && running.process.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    running.process.kill('SIGSTOP');
    for (const shard of names) await damage(join(folder, shard));
    running.process.kill('SIGCONT');
    expectFailure(
      await running.finished,
      new RegExp(`error: ${folder}/train-0000\\d\\.arrow: `),
      message,
      WAY_ON,
    );
  });
});
