import { describe, expect, it } from 'vitest';
import { FAULT, type Row } from '../../../../src/data/schema.js';
import { BlockCache } from '../../../../src/data/sources/block-cache.js';
import type { Shard } from '../../../../src/data/sources/source.js';
import { openWebDatasetShard } from '../../../../src/data/sources/webdataset.js';
import { useCacheDirectory } from '../../../support/cache-directory.js';
import { MemoryFile } from '../../../support/memory-file.js';
import { type TestMember, tarArchive, tarMember } from '../../../support/tar.js';

useCacheDirectory();

let numFiles = 0;
const open = (bytes: Uint8Array): Promise<Shard> =>
  openWebDatasetShard(new MemoryFile(`/${numFiles++}.tar`, bytes), new BlockCache(1 << 24));
async function read(...members: TestMember[]): Promise<Row[]> {
  const shard = await open(tarArchive(...members));
  return shard.readRows([...Array(shard.numRows).keys()], shard.columns);
}

describe('WebDataset', () => {
  it('gives a sample null for a member or a name that it lacks, and takes a member before a name', async () => {
    const rows = await read(
      { name: 'a.jpg', data: 'AA' },
      { name: 'a.json', data: '{"url":"u","txt":"of the JSON","__key__":"x"}' },
      { name: 'a.txt', data: 'of the member' },
      { name: 'b.json', data: '[1]' },
    );
    expect(rows).toEqual([
      { __key__: 'a', jpg: Uint8Array.from(Buffer.from('AA')), txt: 'of the member', url: 'u', json: null },
      { __key__: 'b', jpg: null, txt: null, url: null, json: [1] },
    ]);
  });

  it('hands out bytes that are no part of a larger buffer', async () => {
    const [row] = (await read({ name: 'a.jpg', data: 'AA' })) as [Row];
    expect((row.jpg as Uint8Array).buffer.byteLength).toBe(2);
  });

  it('keeps the key of a sample with a damaged member, if the member is asked for', async () => {
    const shard = await open(
      tarArchive(
        { name: 'a.jpg', data: 'A' },
        { name: 'a.txt', data: Buffer.of(0xff) },
        { name: 'b.txt', data: 'b' },
        { name: 'b.cls', data: 'x' },
      ),
    );
    const fault = "The member 'txt' is not UTF-8.";
    expect(await shard.readRows([0, 1], ['__key__', 'jpg', 'txt'])).toEqual([
      { __key__: 'a', jpg: null, txt: null, [FAULT]: fault },
      { __key__: 'b', jpg: null, txt: 'b' },
    ]);
    expect(await shard.readRows([0], ['jpg'])).toEqual([{ jpg: Uint8Array.of(65) }]);
    expect((await shard.readRows([1], ['cls']))[0]?.[FAULT]).toBe("The member 'cls' is not a whole number.");
  });

  it('takes names for names only: links, devices and paths lead nowhere', async () => {
    const rows = await read(
      { name: 'link.txt', type: '2', size: '00000000777\0' },
      { name: 'hard.txt', type: '1' },
      { name: 'dev.txt', type: '3' },
      { name: '../../etc/passwd.txt', data: 'above' },
      { name: '/etc/shadow.txt', data: 'absolute' },
      { name: '.hidden', data: 'x' },
      { name: 'none', data: 'x' },
    );
    expect(rows).toEqual([
      { __key__: '../../etc/passwd', txt: 'above' },
      { __key__: '/etc/shadow', txt: 'absolute' },
    ]);
  });

  it("reads sizes in GNU's base 256, and the last path and size of pax and long names", async () => {
    const rows = await read(
      { name: 'a.txt', data: 'four', size: '\x80\0\0\0\0\0\0\0\0\0\0\x04' },
      { name: 'x', type: 'L', data: 'long/b.txt\0' },
      { name: 'x', type: 'x', data: '20 path=other/b.txt\n9 size=3\n' },
      { name: 'cut.txt', data: 'pax', size: '00000000000\0' },
    );
    expect(rows).toEqual([
      { __key__: 'a', txt: 'four' },
      { __key__: 'other/b', txt: 'pax' },
    ]);
  });

  it('ends at the first block of zeros, or at the end of the file', async () => {
    const one = tarMember({ name: 'a.txt', data: 'a' });
    expect((await open(one)).numRows).toBe(1);
    expect((await open(Buffer.concat([tarArchive({ name: 'a.txt' }), one]))).numRows).toBe(1);
  });

  it.each<[string, TestMember[], RegExp]>([
    [
      'a member twice in a sample',
      [{ name: 'a.txt' }, { name: 'a.TXT' }],
      /holds the member 'a\.TXT' twice, at bytes 0 and 512;/,
    ],
    [
      'a key again later',
      [{ name: 'a.txt' }, { name: 'b.txt' }, { name: 'a.jpg' }],
      /holds the key 'a' twice, at bytes 0 and 1024;/,
    ],
    [
      'a size beyond the end',
      [{ name: 'a.txt', size: '77777777777\0' }],
      /says that it has 8589934591 bytes; 1024 follow/,
    ],
    [
      'a size of 2^63',
      [{ name: 'a.txt', size: '\x80\0\0\0\x80\0\0\0\0\0\0\0' }],
      /a number that is not one, negative, or far too large/,
    ],
    [
      'a negative size',
      [{ name: 'a.txt', size: '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01' }],
      /negative/,
    ],
    ['a size that is no number', [{ name: 'a.txt', size: '0000000001x\0' }], /a number that is not one/],
    [
      'a changed header',
      [{ name: 'a.txt', damage: (header) => header.fill(66, 0, 1) }],
      /the header at byte 0 does not have its checksum/,
    ],
    [
      'a long name of megabytes',
      [{ name: 'x', type: 'L', size: '00010000000\0', data: Buffer.alloc(1 << 21) }],
      /has 2097152 bytes of names/,
    ],
    [
      'a pax record beyond its header',
      [{ name: 'x', type: 'x', data: '99 path=a.txt\n' }],
      /the pax header at byte 0 is damaged/,
    ],
    [
      'a pax size that is negative',
      [{ name: 'x', type: 'x', data: '11 size=-1\n' }, { name: 'a.txt' }],
      /the pax header at byte 0 is damaged/,
    ],
    ['a sparse member', [{ name: 'a.txt', type: 'S' }], /is sparse/],
    ['no sample', [{ name: 'README' }], /holds no samples; expected members as 000000000\.jpg/],
  ])('%s is an error', async (_, members, expected) => {
    await expect(read(...members)).rejects.toThrow(expected);
    await expect(read(...members)).rejects.toThrow(/^\/\d+\.tar: /);
  });

  it('cut off anywhere is an error, or holds the samples before', async () => {
    const whole = tarArchive({ name: 'a.jpg', data: 'x'.repeat(700) }, { name: 'b.txt', data: 'b' });
    for (let length = 0; length < whole.length; length += 37) {
      const shard = open(whole.subarray(0, length));
      if (length >= 1536 + 513 && length % 512 === 0) expect((await shard).numRows).toBe(2);
      else if (length < 1212) await expect(shard, `${length}`).rejects.toThrow(/\.tar: /);
      else {
        const numRows = await shard.then(
          ({ numRows }) => numRows,
          () => 0,
        );
        expect(numRows).toBeLessThanOrEqual(2);
      }
    }
  });
});
