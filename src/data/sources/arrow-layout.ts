/**
 * Where in a record batch's body each column's values lie. The metadata lists nodes (a length and a count of nulls) and
 * buffers (a place in the body) for all columns in one row, the columns' types say which are whose.
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html ("RecordBatch message", "Buffer listing for each layout").
 */
import { type DataType, MetadataVersion, Type, UnionMode } from 'apache-arrow';
import type { RecordBatch } from 'apache-arrow/ipc/metadata/message';

/** A buffer's place in the body of its message, in bytes. */
export interface Region {
  readonly offset: number;
  readonly length: number;
}

/** One column, or a child of one, in one batch. */
export interface Layout {
  readonly type: DataType;
  readonly length: number;
  readonly nullCount: number;
  /** In the format's order, the bitmap of nulls first where the type has one. */
  readonly buffers: readonly Region[];
  readonly children: readonly Layout[];
}

/**
 * Divides a batch's nodes and buffers among its columns, and holds them against each other and the body.
 *
 * @throws Error that says what is wrong
 */
export function layoutOf(
  batch: RecordBatch,
  bodyLength: number,
  version: MetadataVersion,
  types: readonly DataType[],
): Layout[] {
  checkRegions(batch.buffers, bodyLength);
  let [node, buffer, variadic] = [0, 0, 0];
  const take = (type: DataType, hasNulls: boolean): Layout => {
    const head = batch.nodes[node++];
    if (head === undefined) throw new Error(`${batch.nodes.length} field nodes, which is too few`);
    const { length, nullCount } = head;
    if (!(length >= 0 && nullCount >= 0 && nullCount <= length && Number.isSafeInteger(length))) {
      throw new Error(`${nullCount} nulls among ${length} values`);
    }
    let numBuffers = numBuffersOf(type) + (hasNulls ? 1 : 0);
    if (isView(type)) numBuffers += batch.variadicBufferCounts[variadic++] ?? 0;
    const buffers = batch.buffers.slice(buffer, buffer + numBuffers);
    buffer += numBuffers;
    if (buffers.length < numBuffers) throw new Error(`${batch.buffers.length} buffers, which is too few`);
    const children = type.typeId === Type.Dictionary ? [] : (type.children ?? []);
    return {
      type,
      length,
      nullCount,
      buffers,
      children: children.map(({ type: child }) => take(child, hasNullBitmap(child, version))),
    };
  };
  const layouts = types.map((type) => take(type, hasNullBitmap(type, version)));
  const wrong = layouts.find(({ length }) => length !== batch.length);
  if (wrong !== undefined) throw new Error(`a column of ${wrong.length} values among ${batch.length} rows`);
  if (node !== batch.nodes.length) throw new Error(`${batch.nodes.length} field nodes; expected ${node}`);
  return layouts;
}

/** Buffers lie one after the other in the body. */
function checkRegions(regions: readonly Region[], bodyLength: number): void {
  let end = 0;
  for (const { offset, length } of regions) {
    if (length === 0) continue;
    if (offset < end || length < 0 || offset + length > bodyLength) {
      throw new Error(`a buffer of ${length} bytes at byte ${offset}, after byte ${end} of ${bodyLength}`);
    }
    end = offset + length;
  }
}

function hasNullBitmap(type: DataType, version: MetadataVersion): boolean {
  if (type.typeId === Type.Null) return false;
  return type.typeId !== Type.Union || version < MetadataVersion.V5;
}

/** Buffers of a type besides its bitmap of nulls. */
function numBuffersOf(type: DataType): number {
  switch (type.typeId) {
    case Type.Null:
    case Type.Struct:
    case Type.FixedSizeList:
      return 0;
    case Type.Utf8:
    case Type.LargeUtf8:
    case Type.Binary:
    case Type.LargeBinary:
      return 2;
    case Type.Union:
      return (type as DataType & { mode: UnionMode }).mode === UnionMode.Dense ? 2 : 1;
    default:
      return 1;
  }
}

function isView(type: DataType): boolean {
  return type.typeId === Type.Utf8View || type.typeId === Type.BinaryView;
}

/** Every buffer of a column, its children's too. */
export function regionsOf(layout: Layout): Region[] {
  return [...layout.buffers, ...layout.children.flatMap(regionsOf)];
}
