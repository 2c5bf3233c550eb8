/**
 * Files and overrides laid over each other to one tree of values, remembering for every value where it was
 * written, so that a message about it can say so.
 */
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { ConfigError } from '../errors.js';

/** Keys on the way to a value. */
export type Path = readonly (string | number)[];

type Tree = { [key: string]: unknown };

/** Maps that are one value: a later one replaces an earlier one whole, because its entries depend on each other. */
const WHOLE = new Set(['data.captions']);

/** `data.path`, `eval.zeroShot[0].classes`. */
export function formatPath(path: Path): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`),
    '',
  );
}

/** Values by path, and where each was written. */
export class Layers {
  readonly values: Tree = {};
  readonly #origins = new Map<string, string>();

  /** Where the value of a path, or what it is part of, was written; undefined if nowhere. */
  origin(path: Path): string | undefined {
    for (let length = path.length; length > 0; length--) {
      const found = this.#origins.get(formatPath(path.slice(0, length)));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Lays a value over what is at the path: maps are merged, all else is replaced. */
  lay(path: readonly string[], value: unknown, origin: (path: Path) => string): void {
    const name = formatPath(path);
    if (isTree(value) && !WHOLE.has(name)) {
      if (path.length > 0) this.#put(path, isTree(this.at(path)) ? this.at(path) : {}, origin(path));
      for (const [key, inner] of Object.entries(value)) this.lay([...path, key], inner, origin);
      return;
    }
    for (const known of [...this.#origins.keys()]) {
      if (known.startsWith(`${name}.`) || known.startsWith(`${name}[`)) this.#origins.delete(known);
    }
    this.#put(path, value, origin(path));
    this.#remember(path, value, origin);
  }

  /** The value at a path. */
  at(path: Path): unknown {
    return path.reduce<unknown>(
      (value, key) =>
        typeof value === 'object' && value !== null && Object.hasOwn(value, key)
          ? (value as Tree)[key]
          : undefined,
      this.values,
    );
  }

  #put(path: readonly string[], value: unknown, origin: string): void {
    let parent = this.values;
    path.slice(0, -1).forEach((key, at) => {
      const next = Object.hasOwn(parent, key) ? parent[key] : undefined;
      if (isTree(next)) {
        parent = next;
        return;
      }
      const made: Tree = {};
      define(parent, key, made);
      this.#origins.set(formatPath(path.slice(0, at + 1)), origin);
      parent = made;
    });
    define(parent, path.at(-1) as string, value);
    this.#origins.set(formatPath(path), origin);
  }

  #remember(path: Path, value: unknown, origin: (path: Path) => string): void {
    if (typeof value !== 'object' || value === null) return;
    const entries: [string | number, unknown][] = Array.isArray(value)
      ? [...value.entries()]
      : Object.entries(value);
    for (const [key, inner] of entries) {
      this.#origins.set(formatPath([...path, key]), origin([...path, key]));
      this.#remember([...path, key], inner, origin);
    }
  }
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Sets an own property, whatever its name: `__proto__` in a file is a key like any other. */
function define(tree: Tree, key: string, value: unknown): void {
  Object.defineProperty(tree, key, { value, enumerable: true, configurable: true, writable: true });
}

/**
 * Lays a YAML file over the layers, after the files that it extends.
 *
 * @param chain files that led here, for finding cycles
 * @throws ConfigError if a file is missing, is not a YAML map, or extends itself
 */
export async function layFile(layers: Layers, path: string, chain: readonly string[] = []): Promise<void> {
  const absolute = resolve(path);
  if (chain.some((earlier) => resolve(earlier) === absolute)) {
    throw new ConfigError(`Configurations extend each other in a circle: ${[...chain, path].join(' → ')}.`);
  }
  const by = chain.length === 0 ? '' : `, which ${chain.at(-1)} extends`;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`${path}: ${whyNot(error as NodeJS.ErrnoException)}${by}.`, { cause: error });
  }
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter });
  const broken = document.errors[0];
  if (broken) throw new ConfigError(`${path}: not YAML: ${broken.message.trimEnd()}`, { cause: broken });
  if (!isMap(document.contents)) {
    throw new ConfigError(
      `${path}: expected a map of keys to values, found ${text.trim() === '' ? 'nothing' : 'something else'}.`,
    );
  }
  const origin = (at: Path): string => {
    const node = lineOf(document.contents as Node, at);
    return node === undefined ? path : `${path}:${counter.linePos(node).line}`;
  };
  let own: Tree;
  try {
    own = document.toJS() as Tree;
  } catch (error) {
    throw new ConfigError(`${path}: not usable YAML: ${(error as Error).message}`, { cause: error });
  }
  const { extends: parents = [], ...values } = own;
  for (const parent of Array.isArray(parents) ? parents : [parents]) {
    if (typeof parent !== 'string' || parent === '') {
      throw new ConfigError(
        `${origin(['extends'])}: extends must be the path of a configuration, or a list of them, found ${JSON.stringify(parent)}.`,
      );
    }
    await layFile(layers, isAbsolute(parent) ? parent : join(dirname(path), parent), [...chain, path]);
  }
  layers.lay([], values, origin);
}

/** Why a file is no configuration, before what extends it. */
function whyNot({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'there is no such configuration';
  if (code === 'EISDIR') {
    return 'it is a directory, expected a YAML file (that of a run is config.yaml in its folder)';
  }
  return `the configuration cannot be read (${message})`;
}

/** Offset of the line that gives the value at a path: that of its key, or of the list's item. */
function lineOf(root: Node, path: Path): number | undefined {
  let node: unknown = root;
  let offset: number | undefined;
  for (const key of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === key);
      if (isScalar(pair?.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair?.value;
    } else if (isNode(node) && 'items' in node && typeof key === 'number') {
      node = (node.items as unknown[])[key];
      if (isNode(node)) offset = node.range?.[0] ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

/**
 * Lays `--set a.b=value` over the layers; the value is YAML, such as `1e-3`, `[a, b]` or `{alt: 0.5, ssc: 0.5}`.
 *
 * @throws ConfigError if it has no key, or its value is not YAML or not there
 */
export function laySet(layers: Layers, set: string): void {
  const at = set.indexOf('=');
  const path = set.slice(0, at).trim().split('.');
  if (at < 1 || path.includes('')) {
    throw new ConfigError(`--set ${set}: expected path=value, such as train.lr=1e-3.`);
  }
  const document = parseDocument(set.slice(at + 1));
  const broken = document.errors[0];
  if (broken) {
    throw new ConfigError(`--set ${set}: the value is not YAML: ${broken.message.split('\n')[0]}`, {
      cause: broken,
    });
  }
  if (document.contents === null) {
    throw new ConfigError(
      `--set ${set}: there is no value after the '='. Write path=value, such as train.lr=1e-3; an empty text is ''.`,
    );
  }
  layers.lay(path, document.toJS(), () => '--set');
}
