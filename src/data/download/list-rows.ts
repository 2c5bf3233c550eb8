/** The rows of a list, shard by shard: their URLs, and those that give no image whatever a server says. */
import { createHash } from 'node:crypto';
import { type Row, rowFault, sampleKey, type Value } from '../schema.js';
import type { Source } from '../sources/source.js';
import type { DigestSet } from './digest-set.js';
import type { FailureReason } from './failure.js';

/** A row of the list. */
export interface ListedRow {
  readonly row: Row;
  /** Place in the list, from 0. */
  readonly index: number;
  readonly key: string | null;
  /** Undefined for a row that fails. */
  readonly url: URL | undefined;
  readonly failure: { readonly reason: FailureReason; readonly detail: string } | undefined;
}

/** Reads a list from front to back, and takes every URL once. */
export class ListReader {
  /** The list's columns that go into shards: all but the image, and those that have a name of capstan's besides. */
  readonly columns: readonly string[];

  /** @param seen URLs of the rows before */
  constructor(
    private readonly source: Source,
    private readonly seen: DigestSet,
  ) {
    this.columns = source.columns.filter(
      (name) => name !== 'image' && !(source.renamed ?? []).includes(name),
    );
  }

  /** Reads the rows from `start` to before `end`, which must come after those that were read or passed before. */
  async read(start: number, end: number): Promise<ListedRow[]> {
    const rows = await this.source.readRows(range(start, end), this.columns);
    return rows.map((row, i) => this.#listed(row, start + i));
  }

  /** Passes rows of a finished shard over: their URLs count as taken. */
  async pass(start: number, end: number): Promise<void> {
    for (const { url } of await this.source.readRows(range(start, end), ['url'])) {
      const parsed = parse(url ?? null);
      if (parsed !== undefined) this.seen.add(digestOf(parsed));
    }
  }

  /** Some rows, for the types of their columns: the first ones, and some from places all over the list. */
  async sample(): Promise<Row[]> {
    const { numRows } = this.source;
    const wanted = new Set(range(0, Math.min(numRows, SAMPLE_FIRST)));
    for (let place = 1; place <= SAMPLE_PLACES; place++) {
      const start = Math.floor((place * numRows) / (SAMPLE_PLACES + 1));
      for (const index of range(start, Math.min(numRows, start + SAMPLE_EACH))) wanted.add(index);
    }
    const indices = [...wanted].sort((a, b) => a - b);
    return (await this.source.readRows(indices, this.columns)).filter((row) => rowFault(row) === undefined);
  }

  #listed(row: Row, index: number): ListedRow {
    const key = sampleKey(row) ?? null;
    const fail = (reason: FailureReason, detail: string): ListedRow => ({
      row,
      index,
      key,
      url: undefined,
      failure: { reason, detail },
    });
    const fault = rowFault(row);
    if (fault !== undefined) return fail('bad-row', fault);
    if (key === null) return fail('bad-row', 'it has no key');
    if (typeof row.url !== 'string' || row.url.trim() === '') return fail('bad-row', 'it has no URL');
    const url = parse(row.url);
    if (url === undefined) return fail('bad-url', 'it is no address of http or https');
    if (!this.seen.add(digestOf(url))) return fail('duplicate-url', 'an earlier row has the same URL');
    return { row, index, key, url, failure: undefined };
  }
}

const SAMPLE_FIRST = 2_000;
const SAMPLE_PLACES = 8;
const SAMPLE_EACH = 250;

const range = (start: number, end: number): number[] =>
  Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);

/** The address without what is not sent. */
function parse(value: Value): URL | undefined {
  if (typeof value !== 'string' || !URL.canParse(value.trim())) return undefined;
  const url = new URL(value.trim());
  url.hash = '';
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined;
}

const digestOf = (url: URL): Uint8Array => createHash('sha256').update(url.href).digest();
