/**
 * A Parquet schema as columns, and what their values become. hyparquet is given the schema without the logical types, so
 * that it hands out values as they are stored: its own conversions lose digits (decimals become floating, timestamps
 * milliseconds).
 *
 * Source: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md.
 */
import type { SchemaElement } from 'hyparquet';
import type { Value } from '../schema.js';
import {
  decimalValue,
  halfFloat,
  isoDate,
  isoTime,
  isoTimestamp,
  mapValue,
  signedInteger,
  structValue,
  type TimeUnit,
} from './value.js';

/** An element of the schema with those below it. */
export interface Node {
  readonly element: SchemaElement;
  readonly children: readonly Node[];
}

/** A column of numbers, bytes or text; a column of the data set has several if it is nested. */
export interface Leaf {
  /** Names from the top. */
  readonly path: readonly string[];
  /** Elements from the top. */
  readonly nodes: readonly Node[];
  readonly maxDefinition: number;
  readonly maxRepetition: number;
}

/** Deeper than any schema; the library recurses. */
const MAX_DEPTH = 32;

/** The columns of a schema, which lists its elements depth first. @throws Error if it is no tree */
export function columnsOf(elements: readonly SchemaElement[]): Node[] {
  let at = 0;
  const take = (depth: number): Node => {
    const element = elements[at++];
    if (element === undefined || depth > MAX_DEPTH) throw new Error('a schema without end');
    if (element.name === undefined && depth > 0) throw new Error('an element without a name');
    const numChildren = element.num_children ?? 0;
    if (numChildren > elements.length - at) throw new Error(`an element with ${numChildren} children`);
    const children = Array.from({ length: Math.max(0, numChildren) }, () => take(depth + 1));
    if (children.length === 0 && element.type === undefined && depth > 0) {
      throw new Error(`an element '${element.name}' without a type`);
    }
    return { element, children };
  };
  const root = take(0);
  if (at !== elements.length) throw new Error(`${elements.length} elements of the schema; expected ${at}`);
  return [...root.children];
}

/** The leaves below an element, in the order of their chunks. */
export function leavesOf(node: Node, above: readonly Node[] = []): Leaf[] {
  const nodes = [...above, node];
  if (node.children.length > 0) return node.children.flatMap((child) => leavesOf(child, nodes));
  const repetitions = nodes.map(({ element }) => element.repetition_type);
  return [
    {
      path: nodes.map(({ element }) => element.name),
      nodes,
      maxDefinition: repetitions.filter((each) => each !== 'REQUIRED').length,
      maxRepetition: repetitions.filter((each) => each === 'REPEATED').length,
    },
  ];
}

/** The element without what it means, but for text and lists. */
export function storedElement({ element, children }: Node): SchemaElement {
  const { name, type, type_length, repetition_type, logical_type, converted_type } = element;
  const stored: SchemaElement = { name };
  if (repetition_type !== undefined) stored.repetition_type = repetition_type;
  if (children.length > 0) {
    stored.num_children = children.length;
    if (converted_type === 'LIST' || logical_type?.type === 'LIST') stored.converted_type = 'LIST';
    return stored;
  }
  if (type !== undefined) stored.type = type;
  if (type_length !== undefined) stored.type_length = type_length;
  if (type === 'BYTE_ARRAY' && isText(element)) stored.converted_type = 'UTF8';
  return stored;
}

/** Whether values are text. */
export function isText({ converted_type, logical_type }: SchemaElement): boolean {
  return (
    ['UTF8', 'ENUM', 'JSON'].includes(converted_type ?? '') ||
    ['STRING', 'ENUM', 'JSON'].includes(logical_type?.type ?? '')
  );
}

/** Makes a cell of what hyparquet gives. */
export type Convert = (raw: unknown) => Value;

/** What is made of bytes: a copy, or the view itself. */
type TakeBytes = (view: Uint8Array) => Uint8Array;

/**
 * How the values of a column are handed out.
 *
 * @param take what is made of bytes, which are views of pages.
 */
export function converterOf(node: Node, take: TakeBytes): Convert {
  const { element, children } = node;
  if (element.repetition_type === 'REPEATED') {
    // Repeated without a list around it: none is an empty list.
    const each = single(node, take);
    return (raw) => (raw === null || raw === undefined ? [] : Array.from(raw as unknown[], each));
  }
  const [first] = children;
  const isMap =
    element.converted_type === 'MAP' ||
    element.converted_type === 'MAP_KEY_VALUE' ||
    element.logical_type?.type === 'MAP';
  if (isMap && first?.element.repetition_type === 'REPEATED' && first.children.length === 2)
    return mapConverter(first, take);
  return single(node, take);
}

/** As {@link converterOf}, but of one of the values of a repeated element. */
function single({ element, children }: Node, take: TakeBytes): Convert {
  const [first] = children;
  if (first === undefined) return orNull(leafConverter(element, take));
  const isList = element.converted_type === 'LIST' || element.logical_type?.type === 'LIST';
  if (
    isList &&
    children.length === 1 &&
    first.element.repetition_type === 'REPEATED' &&
    first.children.length < 2
  ) {
    const each = first.children[0] === undefined ? single(first, take) : converterOf(first.children[0], take);
    return orNull((raw) => Array.from(raw as unknown[], each));
  }
  if (isList && children.length === 1) {
    // A list whose repeated element is the struct itself comes as a struct of that list.
    const list = converterOf(first, take);
    return orNull((raw) => list((raw as Record<string, unknown>)[first.element.name]));
  }
  const names = children.map((child) => child.element.name);
  const converters = children.map((child) => converterOf(child, take));
  return orNull((raw) => {
    const struct = raw as Record<string, unknown>;
    return structValue(
      names,
      names.map((name, i) => (converters[i] as Convert)(struct[name])),
    );
  });
}

/** A map comes as a struct of one list of structs. */
function mapConverter(entries: Node, take: TakeBytes): Convert {
  const [key, value] = entries.children.map((child) => ({
    name: child.element.name,
    of: converterOf(child, take),
  }));
  if (key === undefined || value === undefined) throw new Error('a map without keys and values');
  return orNull((raw) => {
    const pairs = ((raw as Record<string, unknown>)[entries.element.name] ?? []) as Record<string, unknown>[];
    return mapValue(pairs.map((pair) => [key.of(pair[key.name]), value.of(pair[value.name])] as const));
  });
}

function orNull(convert: Convert): Convert {
  return (raw) => (raw === null || raw === undefined ? null : convert(raw));
}

function leafConverter(element: SchemaElement, take: TakeBytes): Convert {
  const { type, logical_type: logical, converted_type: converted } = element;
  if (converted === 'DECIMAL' || logical?.type === 'DECIMAL') {
    const precision = element.precision ?? (logical?.type === 'DECIMAL' ? logical.precision : 0);
    const scale = element.scale ?? (logical?.type === 'DECIMAL' ? logical.scale : 0);
    if (!(Math.abs(scale) <= 1000)) throw new Error(`decimals of scale ${scale}`);
    return (raw) => decimalValue(wholeNumber(raw), precision, scale);
  }
  if (logical?.type === 'TIMESTAMP') return timestampConverter(unitOf(logical.unit), logical.isAdjustedToUTC);
  if (logical?.type === 'TIME') return timeConverter(unitOf(logical.unit));
  if (logical?.type === 'FLOAT16')
    return (raw) => halfFloat(new DataView((raw as Uint8Array).slice().buffer).getUint16(0, true));
  if (logical?.type === 'UUID') return (raw) => uuid(raw as Uint8Array);
  switch (converted) {
    case 'DATE':
      return (raw) => isoDate(raw as number);
    case 'TIME_MILLIS':
      return timeConverter('ms');
    case 'TIME_MICROS':
      return timeConverter('us');
    case 'TIMESTAMP_MILLIS':
      return timestampConverter('ms', true);
    case 'TIMESTAMP_MICROS':
      return timestampConverter('us', true);
    case 'UINT_8':
    case 'UINT_16':
    case 'UINT_32':
      return (raw) => (raw as number) >>> 0;
    case 'UINT_64':
      return (raw) => BigInt.asUintN(64, raw as bigint);
    case 'INTERVAL':
      return (raw) => interval(raw as Uint8Array);
    default:
  }
  if (logical?.type === 'DATE') return (raw) => isoDate(raw as number);
  if (logical?.type === 'INTEGER' && !logical.isSigned) {
    return (raw) => (typeof raw === 'bigint' ? BigInt.asUintN(64, raw) : (raw as number) >>> 0);
  }
  if (type === 'INT96') return (raw) => isoTimestamp(raw as bigint, 'ns', false);
  return (raw) => (raw instanceof Uint8Array ? take(raw) : (raw as Value));
}

function unitOf(unit: string): TimeUnit {
  if (unit === 'MILLIS') return 'ms';
  return unit === 'MICROS' ? 'us' : 'ns';
}

function timeConverter(unit: TimeUnit): Convert {
  return (raw) => isoTime(BigInt(raw as number | bigint), unit);
}

function timestampConverter(unit: TimeUnit, isUtc: boolean): Convert {
  return (raw) => isoTimestamp(BigInt(raw as number | bigint), unit, isUtc);
}

/** A whole number as it is stored: as one, or as bytes of which the first is the highest. */
function wholeNumber(raw: unknown): bigint {
  return raw instanceof Uint8Array ? signedInteger(raw.toReversed()) : BigInt(raw as number | bigint);
}

function uuid(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function interval(bytes: Uint8Array): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    months: view.getUint32(0, true),
    days: view.getUint32(4, true),
    milliseconds: view.getUint32(8, true),
  };
}
