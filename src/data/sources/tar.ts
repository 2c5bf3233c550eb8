/**
 * The members of a tar archive: POSIX ustar with pax headers, GNU's long names and V7. Nothing is ever unpacked, so
 * that names are names only, whatever path they seem to be.
 *
 * Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format".
 */

/** Tar's unit: a header takes one block, and contents are padded to whole ones. */
export const BLOCK = 512;
/** Bytes of a long name or pax header. A longer one is damage: paths end at 4,096. */
const MAX_EXTENSION = 1024 * 1024;

/** Bytes of the archive that a walk asks for. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A member: a regular file, or another kind (directory, link, device), whose contents do not count. */
export interface Member {
  readonly name: string;
  readonly isFile: boolean;
  /** Where its first header begins: a pax or long-name header before its own belongs to it. */
  readonly start: number;
  /** Where its contents begin. */
  readonly offset: number;
  /** Bytes of its contents. */
  readonly size: number;
  /** Where the next member begins. */
  readonly next: number;
}

/** What headers before a member's own say about it. */
interface Extension {
  path?: string;
  size?: number;
}

/**
 * Reads the headers of the member at byte `start`: yields what it needs of the archive and is sent the bytes.
 *
 * @returns undefined at the end of the archive: a block of zeros, or no more bytes.
 * @throws Error that says what is wrong where
 */
export function* readMember(
  start: number,
  end: number,
): Generator<ByteRange, Member | undefined, Uint8Array> {
  const extension: Extension = {};
  for (let at = start; ; ) {
    if (at >= end) {
      if (at === start) return undefined;
      throw new Error(`expected a member at byte ${at}, found the end`);
    }
    if (end - at < BLOCK) throw new Error(`expected a header at byte ${at}, found ${end - at} bytes`);
    const header = yield { offset: at, length: BLOCK };
    if (header.every((byte) => byte === 0)) return undefined;
    checkSum(header, at);
    const type = String.fromCharCode(header[156] as number);
    const offset = at + BLOCK;
    const isFile = type === '0' || type === '\0' || type === '7';
    const said = 'xgLK'.includes(type) ? undefined : extension.size;
    const size = said ?? readNumber(header.subarray(124, 136), at);
    // Links, devices and directories have no contents, whatever size their header has.
    const held = '123456'.includes(type) ? 0 : size;
    if (held > end - offset) {
      throw new Error(`the member at byte ${at} says that it has ${size} bytes; ${end - offset} follow`);
    }
    const next = offset + Math.ceil(held / BLOCK) * BLOCK;
    if (type === 'S' || type === 'M')
      throw new Error(`the member at byte ${at} is sparse or of several volumes`);
    if (!'xgLK'.includes(type)) {
      return { name: extension.path ?? nameOf(header), isFile, start, offset, size: held, next };
    }
    if (size > MAX_EXTENSION) {
      throw new Error(
        `the header at byte ${at} has ${size} bytes of names; expected at most ${MAX_EXTENSION}`,
      );
    }
    if (type === 'x') readPax(yield { offset, length: size }, at, extension);
    // A pax header may come after GNU's long name; the last one counts.
    if (type === 'L') extension.path = decodeName(untilZero(yield { offset, length: size }));
    at = next;
  }
}

/** Sums all bytes, those of the sum itself as spaces. Old writers took bytes as signed. */
function checkSum(header: Uint8Array, at: number): void {
  let unsigned = 8 * 0x20;
  let numNegative = 0;
  for (let i = 0; i < BLOCK; i++) {
    if (i === 148) i = 156;
    const byte = header[i] as number;
    unsigned += byte;
    numNegative += byte >> 7;
  }
  const signed = unsigned - 256 * numNegative;
  const expected = readNumber(header.subarray(148, 156), at);
  if (expected === unsigned || expected === signed) return;
  throw new Error(`the header at byte ${at} does not have its checksum`);
}

/** Octal digits, or GNU's base 256 where the first bit is set. */
function readNumber(field: Uint8Array, at: number): number {
  const first = field[0] as number;
  let value: number;
  if (first === 0x80) value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
  else if (first > 0x80)
    value = -1; // negative
  else {
    const digits = Buffer.from(untilZero(field)).toString('latin1').trim();
    value = digits === '' ? 0 : /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
  }
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`the header at byte ${at} has a number that is not one, negative, or far too large`);
}

function nameOf(header: Uint8Array): string {
  const name = decodeName(untilZero(header.subarray(0, 100)));
  // GNU's own headers have times where POSIX has the prefix.
  const isPosix = Buffer.from(header.subarray(257, 263)).toString('latin1') === 'ustar\0';
  const prefix = isPosix ? decodeName(untilZero(header.subarray(345, 500))) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** Records of `LENGTH NAME=VALUE\n`, where the length counts itself. */
function readPax(bytes: Uint8Array, at: number, extension: Extension): void {
  const damaged = (): Error => new Error(`the pax header at byte ${at} is damaged`);
  for (let from = 0; from < bytes.length && bytes[from] !== 0; ) {
    const space = bytes.indexOf(0x20, from);
    const digits = Buffer.from(bytes.subarray(from, Math.max(space, from))).toString('latin1');
    const end = /^\d{1,9}$/.test(digits) ? from + Number(digits) : 0;
    const equals = bytes.indexOf(0x3d, space);
    if (end <= space || end > bytes.length || bytes[end - 1] !== 0x0a || equals === -1 || equals >= end) {
      throw damaged();
    }
    const name = Buffer.from(bytes.subarray(space + 1, equals)).toString('latin1');
    const value = bytes.subarray(equals + 1, end - 1);
    if (name === 'path') extension.path = decodeName(value);
    if (name.startsWith('GNU.sparse.')) throw new Error(`the member at byte ${at} is sparse`);
    if (name === 'size') {
      const size = Buffer.from(value).toString('latin1');
      if (!/^\d{1,15}$/.test(size)) throw damaged();
      extension.size = Number(size);
    }
    from = end;
  }
}

function untilZero(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A name that is not UTF-8 is taken as Latin-1, so that different names stay different. */
function decodeName(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return Buffer.from(bytes).toString('latin1');
  }
}
