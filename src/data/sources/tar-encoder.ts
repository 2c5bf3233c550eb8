/**
 * Members of a tar archive: POSIX ustar, with a pax header before names and sizes that ustar cannot hold. Times and
 * owners are 0, so that equal contents are equal archives.
 *
 * Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header".
 */
import { BLOCK } from './tar.js';

/** Bytes of a name in a header. */
const NAME_BYTES = 100;
/** Octal digits of a size in a header end here. */
const MAX_OCTAL_SIZE = 8 ** 11 - 1;

/** The end of an archive. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK);

/** A member with its headers and padding. */
export function tarMember(name: string, contents: Uint8Array): Uint8Array[] {
  const bytes = Buffer.from(name);
  const records = [
    ...(bytes.length > NAME_BYTES ? [paxRecord('path', name)] : []),
    ...(contents.length > MAX_OCTAL_SIZE ? [paxRecord('size', String(contents.length))] : []),
  ];
  const extension = records.length === 0 ? [] : paddedMember('PaxHeader', Buffer.concat(records), 'x');
  return [...extension, ...paddedMember(bytes.subarray(0, NAME_BYTES), contents, '0')];
}

function paddedMember(name: Uint8Array | string, contents: Uint8Array, type: '0' | 'x'): Uint8Array[] {
  const padding = new Uint8Array(-contents.length & (BLOCK - 1));
  return [header(name, contents.length, type), contents, padding];
}

function header(name: Uint8Array | string, size: number, type: '0' | 'x'): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  block.set(Buffer.from(name), 0);
  block.write('0000644\0' + '0000000\0' + '0000000\0', 100, 'latin1'); // mode, user, group
  block.write(`${Math.min(size, MAX_OCTAL_SIZE).toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  block.write('00000000000\0', 136, 'latin1'); // time
  block.write('        ', 148, 'latin1'); // the checksum counts as spaces
  block.write(`${type}`, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Uint8Array {
  const rest = Buffer.from(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
