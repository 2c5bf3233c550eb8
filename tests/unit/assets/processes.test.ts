import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureAsset } from '../../../src/assets/index.js';
import { assetOf, buildWheel, noise, serve, WheelIndex } from '../../support/wheel-index.js';

const wheel = buildWheel('library', { 'lib/big.so': noise(400_000) });
const asset = assetOf(wheel);
const script = fileURLToPath(new URL('../../support/fetch-asset.mjs', import.meta.url));

let index: WheelIndex;
beforeEach(async () => {
  index = new WheelIndex();
  await index.start(wheel);
});
afterEach(async () => index.stop());

function startFetch(): ChildProcess {
  return fork(script, [JSON.stringify(asset)], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], execArgv: [] });
}

async function resultOf(child: ChildProcess): Promise<{ steps: string[]; directory: string }> {
  const [result] = (await once(child, 'message')) as [{ steps: string[]; directory: string }];
  return result;
}

describe('processes that want one asset at once', () => {
  it('download it once; the others wait and use it', async () => {
    index.intercept = (response, start, body) => {
      setTimeout(() => serve(response, start, body), 1500);
      return true;
    };
    const results = await Promise.all([startFetch(), startFetch(), startFetch()].map(resultOf));
    expect(index.requests).toEqual([0]);
    for (const { directory } of results) {
      expect(readFileSync(join(directory, 'lib/big.so')).equals(noise(400_000))).toBe(true);
    }
    expect(results.filter(({ steps }) => steps.includes('download')).length).toBe(1);
    expect(results.filter(({ steps }) => steps.includes('wait')).length).toBe(2);
    expect(readdirSync(join(index.cache, 'assets'))).toEqual(['test-asset']);
  });

  it('take over from one that was killed, and continue its download', async () => {
    index.intercept = (response, _start, body) => {
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.subarray(0, 250_000));
      return true;
    };
    const part = join(index.cache, 'downloads', `${wheel.pin.file}.part`);
    const child = startFetch();
    while (!existsSync(part) || statSync(part).size < 200_000) await delay(20);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(readdirSync(join(index.cache, 'assets'))).toContain('test-asset.lock');
    index.intercept = undefined;
    await Promise.all([ensureAsset(asset), resultOf(startFetch())]);
    expect(index.requests.length).toBe(2);
    expect(index.requests[1]).toBeGreaterThanOrEqual(200_000);
    expect(readdirSync(join(index.cache, 'assets'))).toEqual(['test-asset']);
  });
});
