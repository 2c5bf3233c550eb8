/** Reads TensorBoard's event files, independently of the code that writes them. */

/** Scalars of one event, by tag. */
export interface ScalarEvent {
  readonly step: number;
  readonly scalars: Readonly<Record<string, number>>;
}

/** A field of a protocol-buffers message: a number, or bytes. */
interface Field {
  readonly number: number;
  readonly value: number | Buffer;
}

function readFields(bytes: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++] as number;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = tag >>> 3;
    const wireType = tag & 7;
    if (wireType === 0) {
      fields.push({ number, value: varint() });
      continue;
    }
    const length = wireType === 2 ? varint() : wireType === 1 ? 8 : 4;
    fields.push({ number, value: bytes.subarray(at, at + length) });
    at += length;
  }
  return fields;
}

const bytesOf = (fields: readonly Field[], number: number): Buffer[] =>
  fields.flatMap(({ number: n, value }) => (n === number && typeof value !== 'number' ? [value] : []));

/** The events of a file: records of length, checksum, message, checksum. The writer's unit tests verify the checksums. */
export function readEvents(file: Buffer): ScalarEvent[] {
  const events: ScalarEvent[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const fields = readFields(file.subarray(at + 12, at + 12 + length));
    const step = fields.find(({ number }) => number === 2)?.value;
    const scalars = bytesOf(fields, 5).flatMap((summary) =>
      bytesOf(readFields(summary), 1).map((value) => {
        const parts = readFields(value);
        return [String(bytesOf(parts, 1)[0]), bytesOf(parts, 2)[0]?.readFloatLE() ?? Number.NaN] as const;
      }),
    );
    events.push({ step: typeof step === 'number' ? step : 0, scalars: Object.fromEntries(scalars) });
    at += 16 + length;
  }
  return events;
}
