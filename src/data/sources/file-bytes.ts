/** Reads of a range of a file; the file is open only while it is read, so a data set may have any number of shards. */
import { open, stat } from 'node:fs/promises';
import { DataError } from '../../errors.js';

/** Reads `length` bytes from `offset`. @throws DataError if the file is not there or ends earlier. */
export async function readBytes(path: string, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path);
  } catch (cause) {
    throw new DataError(`${path}: cannot be opened (${message(cause)}).`, { cause });
  }
  try {
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
      if (bytesRead === 0) throw cutOff(path, `${offset + length} bytes`, `${offset + at}`);
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
  return bytes;
}

/** Size of a file in bytes. @throws DataError if it is not there. */
export async function fileSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    throw new DataError(`${path}: cannot be read (${message(cause)}).`, { cause });
  }
}

/** The error of a shard that ends too early. */
export function cutOff(path: string, expected: string, found: string): DataError {
  return new DataError(
    `${path}: the shard is cut off or damaged: expected ${expected}, found ${found}. Build or copy it again.`,
  );
}

/** The message of anything thrown. */
export function message(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
