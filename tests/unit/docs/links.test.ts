/** Every relative link and anchor of the documentation leads somewhere. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'tools/golden/README.md'],
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name))
    .sort(),
];

/** The text of a page without code, in which brackets are no links and hashes no headings. */
function prose(path: string): string {
  return readFileSync(path, 'utf8').replace(/^(```+)[^\n]*\n[\s\S]*?^\1[ \t]*$/gm, '');
}

/** A page's own anchors, and those that GitHub gives its headings: one that comes again gets a number. */
function anchors(text: string): Set<string> {
  const found = new Set<string>();
  const written = [...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id as string);
  for (const [, heading] of text.matchAll(/^#{1,6}[ \t]+(.*)$/gm)) {
    const words = (heading as string).replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').trim();
    const slug = words
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '')
      .replaceAll(' ', '-');
    let anchor = slug;
    for (let again = 1; found.has(anchor); again++) anchor = `${slug}-${again}`;
    found.add(anchor);
  }
  return new Set([...found, ...written]);
}

/** Relative targets of a page's links and pictures. */
function targets(text: string): string[] {
  return [...text.replace(/(`+)[^`\n]+\1(?!\])/g, '').matchAll(/\]\(([^()\s]+(?:\([^()\s]*\))?)\)/g)]
    .map(([, target]) => target as string)
    .filter((target) => !/^[a-z]+:/i.test(target));
}

function isDead(page: string, target: string): boolean {
  const [path, anchor] = target.split('#') as [string, string | undefined];
  const file = path === '' ? page : resolve(dirname(page), decodeURIComponent(path));
  if (relative(root, file).startsWith('..') || !existsSync(file)) return true;
  if (anchor === undefined) return false;
  return statSync(file).isDirectory() || !anchors(prose(file)).has(anchor);
}

describe('links', () => {
  it.each(pages)('of %s lead somewhere', (name) => {
    const page = join(root, name);
    expect(targets(prose(page)).filter((target) => isDead(page, target))).toEqual([]);
  });

  it('are found, with their anchors', () => {
    const text =
      '# A `b` (c)\n## A b c\n<a id="own"></a>\n[x](#a-b-c-1) `[no](link)` [`y`](z.md#q)\n[web](https://a.b)';
    expect([...anchors(text)]).toEqual(['a-b-c', 'a-b-c-1', 'own']);
    expect(targets(text)).toEqual(['#a-b-c-1', 'z.md#q']);
    expect(isDead(join(root, 'README.md'), 'docs/README.md#no-such-heading')).toBe(true);
  });
});
