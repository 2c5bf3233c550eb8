import { readFileSync } from 'node:fs';

/** A tensor of a golden file. */
export interface GoldenTensor {
  readonly shape: number[];
  readonly data: Float32Array | Int32Array | Uint8Array;
}

/** The tensors of a safetensors file: a JSON header after its 64-bit length, then the bytes. */
export function readGoldens(path: URL): Record<string, GoldenTensor> {
  const bytes = new Uint8Array(readFileSync(path));
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start))) as Record<
    string,
    { dtype: 'F32' | 'I32' | 'U8'; shape: number[]; data_offsets: [number, number] }
  >;
  const views = { F32: Float32Array, I32: Int32Array, U8: Uint8Array };
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ]) => {
          const data = new views[dtype](bytes.slice(start + from, start + to).buffer);
          return [name, { shape, data }];
        },
      ),
  );
}
