/**
 * A package index on this machine for tests: small wheels, an http server with ranges that can be told to
 * fail, and a `pip3` that points at it. capstan's own code runs unchanged against them.
 */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import type { PinnedAsset, PinnedWheel } from '../../src/assets/index.js';

export interface BuiltWheel {
  readonly bytes: Uint8Array;
  readonly pin: PinnedWheel;
}

/** A wheel of `files`, all of which are pinned members. */
export function buildWheel(name: string, files: Record<string, Uint8Array>): BuiltWheel {
  const bytes = zipSync({ ...files, [`${name}-1.0.dist-info/METADATA`]: Buffer.from('Version: 1.0\n') });
  const pin: PinnedWheel = {
    package: name,
    version: '1.0',
    file: `${name}-1.0-py3-none-any.whl`,
    sha256: sha256(bytes),
    bytes: bytes.length,
    members: Object.keys(files),
    extractedBytes: Object.values(files).reduce((sum, file) => sum + file.length, 0),
  };
  return { bytes, pin };
}

export function assetOf(...wheels: BuiltWheel[]): PinnedAsset {
  return { name: 'test-asset', title: 'a test asset', wheels: wheels.map(({ pin }) => pin) };
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes that do not compress, the same on every run. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** What the fake pip does; the file is read at each call. */
export interface PipBehaviour {
  /** pip cannot reach its index. */
  offline?: boolean;
  /** sha256 that the index states; by default the truth. */
  statedSha256?: string | null;
  /** The index has no metadata apart from its wheels, so that pip downloads them even in a dry run. */
  wheelsOnly?: boolean;
  /** `pip config list` prints this. */
  config?: string;
}

export class WheelIndex {
  readonly root = mkdtempSync(join(tmpdir(), 'capstan-test-'));
  readonly cache = join(this.root, 'cache');
  readonly bin = join(this.root, 'bin');
  /** Ranges asked for: first byte of each request. */
  readonly requests: number[] = [];
  /** Wheels that pip was made to download itself. */
  readonly pipDownloads = join(this.root, 'pip-downloads.log');
  /** Called for each request; return true if it answered. */
  intercept: ((response: ServerResponse, start: number, body: Uint8Array) => boolean) | undefined;
  private readonly wheels = new Map<string, Uint8Array>();
  private readonly server: Server;
  private readonly savedEnv = { ...process.env };

  constructor() {
    this.server = createServer((request, response) => {
      const body = this.wheels.get((request.url ?? '').slice(1));
      if (!body) {
        response.writeHead(404).end();
        return;
      }
      const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
      this.requests.push(start);
      if (this.intercept?.(response, start, body)) return;
      serve(response, start, body);
    });
  }

  /** Starts serving; from then on this process has only the fake pip, and a cache of its own. */
  async start(...wheels: BuiltWheel[]): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    for (const { bytes, pin } of wheels) this.wheels.set(pin.file, bytes);
    mkdirSync(this.bin);
    this.writePip(wheels);
    for (const name of Object.keys(process.env)) {
      if (/proxy$/i.test(name) || name.startsWith('PIP_') || name.startsWith('CAPSTAN_'))
        delete process.env[name];
    }
    process.env.PATH = this.bin;
    process.env.CAPSTAN_CACHE = this.cache;
    this.behave({});
  }

  /** Serves `bytes` under the name of `wheel`. */
  replace(wheel: BuiltWheel, bytes: Uint8Array): void {
    this.wheels.set(wheel.pin.file, bytes);
  }

  behave(behaviour: PipBehaviour): void {
    writeFileSync(join(this.root, 'behaviour.json'), JSON.stringify(behaviour));
  }

  removePip(): void {
    rmSync(join(this.bin, 'pip3'));
  }

  async stop(): Promise<void> {
    for (const name of Object.keys(process.env)) if (!(name in this.savedEnv)) delete process.env[name];
    Object.assign(process.env, this.savedEnv);
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    rmSync(this.root, { recursive: true, force: true });
  }

  private writePip(wheels: readonly BuiltWheel[]): void {
    const { port } = this.server.address() as AddressInfo;
    const store = join(this.root, 'store');
    mkdirSync(store);
    const known = wheels.map(({ bytes, pin }) => {
      writeFileSync(join(store, pin.file), bytes);
      return { requirement: `${pin.package}==${pin.version}`, file: pin.file, sha256: pin.sha256 };
    });
    const script = `#!${process.execPath}
const fs = require('node:fs');
const args = process.argv.slice(2);
const behaviour = JSON.parse(fs.readFileSync(${JSON.stringify(join(this.root, 'behaviour.json'))}, 'utf8'));
if (args[0] === '--version') { console.log('pip 99.0'); process.exit(0); }
if (args[0] === 'config') { console.log(behaviour.config ?? ''); process.exit(0); }
if (behaviour.offline) {
  console.error('WARNING: Retrying after connection broken');
  console.error('ERROR: Could not find a version that satisfies the requirement ' + args.at(-1) + ' (from versions: none)');
  process.exit(1);
}
const wheel = ${JSON.stringify(known)}.find((w) => w.requirement === args.at(-1));
if (args[0] === 'download') {
  fs.appendFileSync(${JSON.stringify(this.pipDownloads)}, wheel.file + '\\n');
  const target = args[args.indexOf('--dest') + 1];
  fs.mkdirSync(target, { recursive: true });
  fs.copyFileSync(${JSON.stringify(store)} + '/' + wheel.file, target + '/' + wheel.file);
  process.exit(0);
}
if (behaviour.wheelsOnly) {
  const unpack = fs.mkdtempSync(process.env.TMPDIR + '/pip-unpack-');
  fs.copyFileSync(${JSON.stringify(store)} + '/' + wheel.file, unpack + '/' + wheel.file);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  fs.rmSync(unpack, { recursive: true });
}
const sha256 = behaviour.statedSha256 === undefined ? wheel.sha256 : behaviour.statedSha256;
const archive_info = sha256 === null ? {} : { hashes: { sha256 } };
console.log(JSON.stringify({ install: [{ download_info: { url: 'http://127.0.0.1:${port}/' + wheel.file, archive_info } }] }));
`;
    writeFileSync(join(this.bin, 'pip3'), script);
    chmodSync(join(this.bin, 'pip3'), 0o755);
  }
}

/** Answers with `body` from byte `start` on. */
export function serve(response: ServerResponse, start: number, body: Uint8Array): void {
  const headers: Record<string, string | number> = { 'content-length': body.length - start };
  if (start > 0) headers['content-range'] = `bytes ${start}-${body.length - 1}/${body.length}`;
  response.writeHead(start > 0 ? 206 : 200, headers).end(body.subarray(start));
}

/** Answers as `serve` but breaks the connection after `count` bytes. */
export function serveThenCut(response: ServerResponse, start: number, body: Uint8Array, count: number): void {
  const headers: Record<string, string | number> = { 'content-length': body.length - start };
  if (start > 0) headers['content-range'] = `bytes ${start}-${body.length - 1}/${body.length}`;
  response.writeHead(start > 0 ? 206 : 200, headers);
  response.write(body.subarray(start, start + count), () => setTimeout(() => response.destroy(), 50));
}
