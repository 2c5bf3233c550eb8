/** Files that the build puts beside compiled modules. */

/**
 * The file at `path`, relative to a module; where the module runs as TypeScript, the one that the build put in dist.
 *
 * @param module the module's `import.meta.url`
 */
export function builtFile(module: string, path: string): URL {
  if (!module.endsWith('.ts')) return new URL(path, module);
  const at = module.lastIndexOf('/src/');
  return new URL(path, `${module.slice(0, at)}/dist/${module.slice(at + '/src/'.length)}`);
}
