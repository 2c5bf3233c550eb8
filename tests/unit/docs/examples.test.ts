/** Every TypeScript block of the documentation stands on its own, and every command can be typed in a clone. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const textOf = (page: string): string => readFileSync(join(root, page), 'utf8');

/** Blocks of TypeScript by the name under which they are compiled: the page and the line of the block. */
function tsBlocks(page: string, text: string): [string, string][] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((found) => {
    const line = text.slice(0, found.index).split('\n').length;
    return [join(root, `${page.replaceAll(/[/.]/g, '-')}-line-${line}.mts`), found[1] as string];
  });
}

/** What the compiler says of modules that are held in memory, `capstan` being the built package. */
function diagnose(modules: ReadonlyMap<string, string>): string[] {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2023.d.ts'],
    types: ['node'],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => modules.has(path) || fileExists(path);
  host.readFile = (path) => modules.get(path) ?? readFile(path);
  host.getSourceFile = (path, languageVersion, ...rest) => {
    const text = modules.get(path);
    return text === undefined
      ? getSourceFile(path, languageVersion, ...rest)
      : ts.createSourceFile(path, text, languageVersion);
  };
  const program = ts.createProgram([...modules.keys()], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
}

describe('blocks of TypeScript', () => {
  it('compile, each by itself, against the public API', () => {
    const modules = new Map(pages.flatMap((page) => tsBlocks(page, textOf(page))));
    expect(modules.size).toBeGreaterThan(8);
    expect(diagnose(modules)).toEqual([]);
  });

  it('would not if a name were not imported or not exported', () => {
    const at = join(root, 'wrong.mts');
    const said = diagnose(new Map([[at, "import { nothing } from 'capstan';\nopenSource('x');\n"]]));
    expect(said).toHaveLength(2);
    expect(said.join('\n')).toMatch(/no exported member 'nothing'[\s\S]*Cannot find name 'openSource'/);
  });
});

describe('commands', () => {
  const bare = /(?:^|`|\$ )capstan (?:train|data|eval|profile|report|quickstart|doctor)\b.*/gm;

  // The reference of the commands names them as they call themselves.
  it.each(pages.filter((page) => page !== 'docs/cli.md'))('of %s begin with npx', (page) => {
    expect(textOf(page).match(bare) ?? []).toEqual([]);
  });

  it('are found', () => {
    expect('capstan train x\n$ capstan data\n`capstan doctor`\nnpx capstan train'.match(bare)).toHaveLength(
      3,
    );
  });
});
