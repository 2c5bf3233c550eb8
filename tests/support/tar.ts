/** What a test's tar archive holds: a member by its name, with what else its header says. */
export interface TestMember {
  readonly name: string;
  readonly data?: Uint8Array | string;
  readonly type?: string;
  /** The twelve bytes of the header's size, instead of the data's. */
  readonly size?: string;
  /** Changes the header after its checksum was made. */
  readonly damage?: (header: Uint8Array) => void;
}

/** A header and contents, padded to whole blocks. */
export function tarMember({ name, data = '', type = '0', size, damage }: TestMember): Uint8Array {
  const contents = Buffer.from(data);
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write('0000644\0', 100);
  header.write(size ?? `${contents.length.toString(8).padStart(11, '0')}\0`, 124, 12, 'latin1');
  header.write('        ', 148);
  header.write(type, 156, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  damage?.(header);
  return Buffer.concat([header, contents, Buffer.alloc(-contents.length & 511)]);
}

/** An archive with its end: two blocks of zeros. */
export function tarArchive(...members: readonly TestMember[]): Uint8Array {
  return Buffer.concat([...members.map(tarMember), Buffer.alloc(1024)]);
}
