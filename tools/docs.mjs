// Writes what is generated of docs/, from the compiled sources in dist: config.md and config.schema.json from the
// configuration's schema, cli.md from the commands' help, api/ from the docstrings of src/index.ts.
// With --check writes nothing, and exits 1 if what is there is not what would be written.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';
import { cliMarkdown } from '../dist/cli/docs.js';
import { createProgram } from '../dist/cli/program.js';
import { configMarkdown, jsonSchemaText } from '../dist/config/docs.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const docs = join(root, 'docs');
const check = process.argv.includes('--check');

async function apiPages() {
  const out = mkdtempSync(join(tmpdir(), 'capstan-docs-'));
  try {
    const app = await Application.bootstrapWithPlugins({
      entryPoints: [join(root, 'src/index.ts')],
      tsconfig: join(root, 'tsconfig.build.json'),
      plugin: ['typedoc-plugin-markdown'],
      out,
      // The build has checked the types.
      skipErrorChecking: true,
      outputFileStrategy: 'modules',
      entryFileName: 'README',
      parametersFormat: 'table',
      interfacePropertiesFormat: 'table',
      classPropertiesFormat: 'table',
      typeAliasPropertiesFormat: 'table',
      propertyMembersFormat: 'table',
      useCodeBlocks: true,
      // Without them, links to a name that another heading has too lead nowhere.
      useHTMLAnchors: true,
      readme: 'none',
      disableSources: true,
      excludeExternals: true,
      excludePrivate: true,
      hidePageHeader: true,
      hideBreadcrumbs: true,
      logLevel: 'Warn',
      validation: { notExported: false, invalidLink: true },
    });
    const project = await app.convert();
    if (!project) throw new Error('typedoc could not read src/index.ts');
    await app.generateOutputs(project);
    return filesIn(out);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** Files of a folder by their paths in it. */
function filesIn(folder) {
  if (!existsSync(folder)) return new Map();
  return new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]),
  );
}

const wanted = new Map([
  ['config.md', configMarkdown()],
  ['config.schema.json', jsonSchemaText()],
  ['cli.md', cliMarkdown(createProgram())],
]);
const pages = await apiPages();
for (const [path, text] of pages) wanted.set(join('api', path), text);

const stale = [...filesIn(join(docs, 'api')).keys()]
  .map((path) => join('api', path))
  .filter((path) => !wanted.has(path));
const changed = [...wanted].filter(([path, text]) => {
  const file = join(docs, path);
  return !existsSync(file) || readFileSync(file, 'utf8') !== text;
});
if (check) {
  const drift = [...changed.map(([path]) => path), ...stale];
  if (drift.length > 0) {
    console.error(
      `Generated documentation has drifted; run npm run docs:\n${drift.map((path) => `  docs/${path}`).join('\n')}`,
    );
    process.exit(1);
  }
} else {
  rmSync(join(docs, 'api'), { recursive: true, force: true });
  for (const [path, text] of wanted) {
    const file = join(docs, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
