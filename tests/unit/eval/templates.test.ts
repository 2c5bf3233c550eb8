import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/errors.js';
import { formatTemplate, loadTemplates } from '../../../src/eval/templates.js';

describe('formatTemplate', () => {
  it('fills {} and {c}, wherever and however often they stand', () => {
    expect(formatTemplate('a drawing of {}.', 'red fox')).toBe('a drawing of red fox.');
    expect(formatTemplate('{c}, the {c}', 'owl')).toBe('owl, the owl');
  });

  it('takes a class name as it is, patterns of replacement included', () => {
    expect(formatTemplate('a {}', '$& {}')).toBe('a $& {}');
  });

  it('refuses a template without a place for the name', () => {
    expect(() => formatTemplate('a drawing', 'x')).toThrow(ConfigError);
  });
});

describe('loadTemplates', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'capstan-templates-'));
  });
  afterAll(() => rm(dir, { recursive: true }));

  it('has a set for drawings whose templates all take a name', async () => {
    const templates = await loadTemplates('emoji');
    expect(templates).toContain('a drawing of {}.');
    expect(new Set(templates.map((template) => formatTemplate(template, 'fox'))).size).toBe(templates.length);
  });

  it('reads a file, leaving out empty lines and comments', async () => {
    const path = join(dir, 'good.txt');
    await writeFile(path, '# prompts\n\n a {} \r\nthe {}\n');
    expect(await loadTemplates(path)).toEqual(['a {}', 'the {}']);
  });

  it('says what is wrong with a name or a file', async () => {
    await expect(loadTemplates(join(dir, 'none.txt'))).rejects.toThrow(
      /expected 'emoji', 'openai' or a readable text file/,
    );
    const empty = join(dir, 'empty.txt');
    await writeFile(empty, '# nothing\n');
    await expect(loadTemplates(empty)).rejects.toThrow(/holds no template/);
    const bad = join(dir, 'bad.txt');
    await writeFile(bad, 'a {}\na thing\n');
    await expect(loadTemplates(bad)).rejects.toThrow(/'a thing' has no \{\}/);
  });
});
