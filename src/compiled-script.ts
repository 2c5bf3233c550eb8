/**
 * The compiled file beside a module, for threads and processes, which cannot run TypeScript. Where the module itself
 * runs as TypeScript, under tests, it is the one that the build put into `dist`.
 */
export function compiledScript(moduleUrl: string, name: string): URL {
  if (!moduleUrl.endsWith('.ts')) return new URL(name, moduleUrl);
  const at = moduleUrl.lastIndexOf('/src/');
  return new URL(name, `${moduleUrl.slice(0, at)}/dist/${moduleUrl.slice(at + '/src/'.length)}`);
}
