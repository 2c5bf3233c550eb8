/**
 * Checks of what Arrow's messages say against the bytes at hand. The library that decodes them believes every
 * length, and would read or allocate far beyond what a damaged shard holds.
 */
import { type Data, DataType, MetadataVersion, type Schema } from 'apache-arrow';
import type { Message, RecordBatch } from 'apache-arrow/ipc/metadata/message';

/**
 * Checks a record batch or dictionary message: buffers in order within the body, a node for each field and child, and as
 * many values in each column as rows in the batch.
 *
 * @throws Error that says what is wrong
 */
export function checkBatchMessage(message: Message, schema: Schema): void {
  if (message.isRecordBatch()) {
    const types = schema.fields.map(({ type }) => type);
    checkBatch(message.header(), message.bodyLength, types);
  } else if (message.isDictionaryBatch()) {
    const { id, data } = message.header();
    const type = schema.dictionaries.get(id);
    if (type === undefined) throw new Error(`a dictionary ${id} that no column uses`);
    checkBatch(data, message.bodyLength, [type]);
  } else {
    throw new Error(`a message of type ${message.headerType} among the record batches`);
  }
}

/** Checks a message's version and the length of its body. @throws Error that says what is wrong */
export function checkMessage({ version, bodyLength }: Message): void {
  // Earlier versions have other layouts; later ones are not known.
  if (version !== MetadataVersion.V4 && version !== MetadataVersion.V5) {
    throw new Error(`metadata version ${version + 1}; expected 4 or 5`);
  }
  if (bodyLength < 0) throw new Error(`a body of ${bodyLength} bytes`);
}

function checkBatch(batch: RecordBatch, bodyLength: number, types: readonly DataType[]): void {
  let end = 0; // buffers lie one after the other
  for (const { offset, length } of batch.buffers) {
    if (length === 0) continue;
    if (offset < end || length < 0 || offset + length > bodyLength) {
      throw new Error(`a buffer of ${length} bytes at byte ${offset}, after byte ${end} of ${bodyLength}`);
    }
    end = offset + length;
  }
  for (const { length, nullCount } of batch.nodes) {
    if (length < 0 || nullCount > length) throw new Error(`${nullCount} nulls among ${length} values`);
  }
  let at = 0;
  for (const type of types) {
    const length = batch.nodes[at]?.length;
    if (length !== batch.length) throw new Error(`a column of ${length} values among ${batch.length} rows`);
    at += numNodes(type);
  }
  if (at !== batch.nodes.length) throw new Error(`${batch.nodes.length} field nodes; expected ${at}`);
}

/** Nodes of a type in a batch: its own and its children's. A dictionary's values are in messages of their own. */
function numNodes(type: DataType): number {
  if (DataType.isDictionary(type)) return 1;
  return (type.children ?? []).reduce((sum, child) => sum + numNodes(child.type), 1);
}

/**
 * Checks decoded values: that bitmaps, offsets, values and children reach as far as the length says.
 *
 * @throws Error that says what is wrong
 */
export function checkData(data: Data): void {
  const { type, length, nullCount, children } = data;
  if (DataType.isNull(type) || length === 0) return;
  if (nullCount > 0 && (data.nullBitmap?.length ?? 0) * 8 < length && !DataType.isUnion(type)) {
    throw new Error(`a null bitmap too short for ${length} values`);
  }
  if (nullCount >= length) return;
  const [held, needed] = extent(data);
  if (held < needed) throw new Error(`${held} items where ${length} values need ${needed}`);
  for (const child of children) checkData(child);
  for (const chunk of data.dictionary?.data ?? []) checkData(chunk);
}

/** How many bytes, values or children's values there are, and how many there must be. */
function extent(data: Data): [held: number, needed: number] {
  const { type, length, values, children, stride } = data;
  if (hasOffsets(type)) {
    const nested = children[0];
    return [nested === undefined ? (values as Uint8Array).length : nested.length, lastOffset(data)];
  }
  if (DataType.isFixedSizeList(type)) return [children[0]?.length ?? 0, length * type.listSize];
  if (DataType.isStruct(type)) return [Math.min(...children.map((child) => child.length), length), length];
  if (DataType.isBool(type)) return [(values as Uint8Array).length * 8, length];
  if (DataType.isUnion(type)) return [0, 0]; // laid out otherwise, and no column that capstan reads
  return [(values as Uint8Array).length, length * stride];
}

function hasOffsets(type: DataType): boolean {
  return (
    DataType.isUtf8(type) ||
    DataType.isLargeUtf8(type) ||
    DataType.isBinary(type) ||
    DataType.isLargeBinary(type) ||
    DataType.isList(type) ||
    DataType.isLargeList(type) ||
    DataType.isMap(type)
  );
}

/** Where the last of the values ends. Offsets that go back would make a value of nearly any length. */
function lastOffset({ valueOffsets, length }: Data): number {
  const offsets = valueOffsets as ArrayLike<number | bigint>;
  let last = 0;
  for (let i = 0; i <= length; i++) {
    const offset = Number(offsets[i]);
    if (!(offset >= last)) throw new Error(`an offset of ${offset} after one of ${last}`);
    last = offset;
  }
  return last;
}
