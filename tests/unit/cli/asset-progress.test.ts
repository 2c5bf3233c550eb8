import { PassThrough } from 'node:stream';
import { SingleBar } from 'cli-progress';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ensureAsset } from '../../../src/assets/index.js';
import { showAssetProgress } from '../../../src/cli/asset-progress.js';
import { assetOf, buildWheel, noise, serveThenCut, WheelIndex } from '../../support/wheel-index.js';

const wheel = buildWheel('library', { 'lib/big.so': noise(300_000) });
let index: WheelIndex;
beforeEach(async () => {
  index = new WheelIndex();
  await index.start(wheel);
});
afterEach(async () => index.stop());

/** Fetches and is stopped half-way; what was shown. */
async function stopped(isTTY: boolean): Promise<string> {
  const stream = Object.assign(new PassThrough(), { isTTY });
  showAssetProgress(stream);
  const controller = new AbortController();
  index.intercept = (response, start, body) => {
    serveThenCut(response, start, body, 100_000);
    setTimeout(() => controller.abort(new Error('enough')), 20);
    return true;
  };
  await expect(ensureAsset(assetOf(wheel), { signal: controller.signal })).rejects.toThrow('enough');
  return String(stream.read());
}

describe('showAssetProgress', () => {
  it('shows lines where there is no terminal', async () => {
    expect((await stopped(false)).split('\n')).toEqual([
      expect.stringMatching(/^a test asset: asking pip library-1\.0-py3-none-any\.whl \(/),
      expect.stringMatching(/^a test asset: downloading library-1\.0-py3-none-any\.whl \(/),
      '',
    ]);
  });

  it('leaves no bar that would keep the process from ending when the fetch fails', async () => {
    const start = vi.spyOn(SingleBar.prototype, 'start');
    await stopped(true);
    const bars = start.mock.contexts as SingleBar[];
    start.mockRestore();
    expect(bars).toHaveLength(2);
    expect(bars.map(({ isActive }) => isActive)).toEqual([false, false]);
  });
});
