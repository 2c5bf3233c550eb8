import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { openSource } from '../../../../src/data/datasets/open.js';

const root = await mkdtemp(join(tmpdir(), 'json-captions-'));
afterAll(() => rm(root, { recursive: true, force: true }));

it('reads captions that a field holds as a JSON list as that list, and all other text as it stands', async () => {
  const path = join(root, 'a.csv');
  await writeFile(
    path,
    [
      'key,url,alt,sentences',
      '1,u,"[""one"",""two""]","[""a"", ""b""]"',
      '2,u,[sic] a cat [1],plain',
      '3,u,[],"[1, 2]"',
      '',
    ].join('\n'),
  );
  const columns = { key: 'key', url: 'url', alt: 'alt', captions: 'sentences' };
  const source = await openSource(path, { columns });
  expect(await source.readColumn('alt')).toEqual([['one', 'two'], '[sic] a cat [1]', '[]']);
  expect(await source.readColumn('captions')).toEqual([['a', 'b'], ['plain'], ['[1, 2]']]);
  await source.close();
});
