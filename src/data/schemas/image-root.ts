/** Image files that rows name by a path, or that are named for the rows' keys. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, DataError } from '../../errors.js';
import { childOf, encodePath, isRemote, isWeb, schemeOf } from '../storage/location.js';
import type { StoredFile } from '../storage/stored-file.js';

/** Opens a file by its path or URL. @throws DataError if it cannot be read */
export type OpenFile = (location: string) => Promise<StoredFile>;

/** Stands for the row's key in the name of an image. */
const KEY = '{key}';
/** An image file larger than this is taken for damaged. */
const MAX_FILE_BYTES = 256 * 2 ** 20;

/** Where the images of a data set lie: a directory or URL under which the rows' paths are, or `…/{key}.jpg`. */
export class ImageRoot {
  /** Images are named for keys, not by a column. */
  readonly byKey: boolean;

  private constructor(
    readonly location: string,
    private readonly openFile: OpenFile,
  ) {
    this.byKey = location.includes(KEY);
  }

  /** @throws ConfigError if there is no such directory. */
  static async open(where: string, openFile: OpenFile): Promise<ImageRoot> {
    const location = schemeOf(where) === 'file' ? fileURLToPath(where) : where;
    const root = new ImageRoot(location, openFile);
    if (isRemote(location)) return root;
    const directory = root.byKey ? dirname(location.slice(0, location.indexOf(KEY) + 1)) : location;
    const info = await stat(directory).catch(() => undefined);
    if (!info?.isDirectory()) {
      throw new ConfigError(
        `data.images (--images) is ${location}, but there is no directory ${directory}. Check the path.`,
      );
    }
    return root;
  }

  /**
   * Reads an image file.
   *
   * @param name the row's path, or its key if images are named for keys
   * @throws DataError if there is no such file or the name leads out of the root.
   */
  async read(name: string): Promise<Uint8Array> {
    const file = await this.openFile(this.#locate(safeSegments(name).join('/')));
    if (file.size > MAX_FILE_BYTES) {
      throw new DataError(`${file.path} has ${file.size} bytes; expected an image of at most 256 MiB.`);
    }
    return file.read(0, file.size);
  }

  #locate(relative: string): string {
    const { location } = this;
    if (this.byKey) return location.split(KEY).join(isWeb(location) ? encodePath(relative) : relative);
    return isRemote(location) ? childOf(location, relative) : join(location, relative);
  }
}

/** The parts of a relative path. @throws DataError if it is absolute, a URL, or leads upwards */
function safeSegments(name: string): string[] {
  const segments = name.split('/').filter((segment) => segment !== '.' && segment !== '');
  const tricky = name.startsWith('/') || /[\\\0]/.test(name) || /^[a-z][a-z0-9+.-]*:/i.test(name);
  if (tricky || segments.length === 0 || segments.includes('..')) {
    throw new DataError(
      `The image's path ${JSON.stringify(name.slice(0, 200))} is refused: expected a path inside data.images (--images), without '..'.`,
    );
  }
  return segments;
}
