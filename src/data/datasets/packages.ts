/** Files and versions of installed packages, pinned in package.json. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** Reads a JSON file of an installed package. The caller states its type: the versions are pinned. */
export function readPackage<T>(specifier: string): T {
  return require(specifier) as T;
}

/** capstan's version and those of the libraries that shape the files. */
export function versionsOf(libraries: readonly string[]): Record<string, string> {
  const { version, dependencies } = readPackage<{ version: string; dependencies: Record<string, string> }>(
    '../../../package.json',
  );
  return {
    capstan: version,
    ...Object.fromEntries(libraries.map((name) => [name, dependencies[name] ?? 'unknown'])),
  };
}
