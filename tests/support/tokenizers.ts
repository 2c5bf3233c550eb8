/** The tokenizer.json files of the golden tests, which are kept packed. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** Unpacks one into a folder and returns its path. */
export function unpackTokenizer(
  name: 'minilm' | 'byte-level' | 'clip-like' | 'unigram',
  folder: string,
): string {
  const path = join(folder, `${name}.json`);
  writeFileSync(
    path,
    gunzipSync(readFileSync(new URL(`../golden/data/tokenizers/${name}.json.gz`, import.meta.url))),
  );
  return path;
}
