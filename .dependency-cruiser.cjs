const only = (name, from, to, comment) => ({ name, severity: 'error', comment, from, to });
/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    only('no-cycles', {}, { circular: true }, 'Imports form no cycle.'),
    only(
      'engine-owns-tensorflow',
      { pathNot: '^src/engine/' },
      { path: 'node_modules/@tensorflow' },
      'Only src/engine knows TensorFlow.',
    ),
    only(
      'koffi-set-up-once',
      { pathNot: '^src/(koffi|engine/native)[.]ts$' },
      { path: 'node_modules/koffi' },
      'koffi is set up in src/koffi.ts and taken from there; the engine also names its types.',
    ),
    only(
      'config-is-low',
      { path: '^src/config/' },
      { path: '^src/(engine|models|captions|train|eval|report|sweep|cli)/' },
      'The configuration knows the caption kinds and nothing else.',
    ),
    only(
      'engine-is-low',
      { path: '^src/engine/' },
      { path: '^src/(models|data|captions|train|eval|report|sweep|cli)/' },
      'The engine imports errors, config fields and assets only.',
    ),
    only(
      'models-are-low',
      { path: '^src/models/' },
      { path: '^src/(data|captions|train|eval|report|sweep|cli)/' },
      'Models import the engine only.',
    ),
    only(
      'data-is-tensor-free',
      { path: '^src/data/' },
      { path: '^src/(engine|models|captions|train|eval|report|sweep|cli)/' },
      'Data yields typed arrays and imports leaves only.',
    ),
    only(
      'train-and-eval-apart',
      { path: '^src/train/' },
      { path: '^src/(eval|report|sweep|cli)/' },
      'train declares an Evaluator; cli hands one in.',
    ),
    only(
      'eval-and-train-apart',
      { path: '^src/eval/' },
      { path: '^src/(train|report|sweep|cli)/' },
      'eval does not know training.',
    ),
    only(
      'report-reads-files',
      { path: '^src/report/' },
      { path: '^src/(engine|models|data|captions|train|eval|sweep|cli)/' },
      'A report reads run files only.',
    ),
    only('nothing-imports-cli', { pathNot: '^src/cli/' }, { path: '^src/cli/' }, 'The CLI is the top.'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
  },
};
