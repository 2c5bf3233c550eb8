/** Where in a large chunk the pages of a row lie: by the file's index of pages, or by walking over their headers. */
import type { StoredFile } from '../storage/stored-file.js';
import type { Chunk } from './parquet-footer.js';
import { type Page, readPage } from './parquet-page.js';
import { numberIn, readThrift } from './parquet-thrift.js';

/** Pages decoded together. */
export interface Segment {
  /** Bytes of the file. */
  readonly start: number;
  readonly end: number;
  readonly firstRow: number;
  readonly endRow: number;
  /** Bytes once decompressed, about. */
  readonly plainBytes: number;
}

/** Small pages are put together until they have so many bytes; writers aim at twice that. */
const SEGMENT_BYTES = 512 * 1024;
/** Holds a page's header unless it has long statistics. */
const HEAD_BYTES = 1024;
const MAX_HEAD_BYTES = 16 * 1024 * 1024;

/** The pages of a chunk of a column without lists, found as far as they are asked for. */
export class PageIndex {
  readonly #file: StoredFile;
  readonly #chunk: Chunk;
  readonly #numRows: number;
  readonly #segments: Segment[] = [];
  #dictionaryEnd: number;
  /** Bytes of the dictionary once decompressed. */
  #dictionaryBytes = 0;
  #at: number;
  #work: Promise<void> | undefined;

  /** @param numRows rows of the row group. */
  constructor(file: StoredFile, chunk: Chunk, numRows: number) {
    this.#file = file;
    this.#chunk = chunk;
    this.#numRows = numRows;
    this.#at = chunk.start;
    this.#dictionaryEnd = chunk.start;
  }

  /** The segment that holds a row. @throws Error that says what is wrong */
  async segmentOf(row: number): Promise<Segment> {
    while ((this.#segments.at(-1)?.endRow ?? 0) <= row) {
      // One walk at a time, whoever asks.
      this.#work ??= this.#extend().finally(() => {
        this.#work = undefined;
      });
      await this.#work;
    }
    let [low, high] = [0, this.#segments.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#segments[middle] as Segment).firstRow <= row) low = middle;
      else high = middle - 1;
    }
    return this.#segments[low] as Segment;
  }

  /** Reads pages and, if one of them needs it, the dictionary page before them. @throws Error that says what is wrong */
  async read({ start, end }: Segment): Promise<Uint8Array<ArrayBuffer>> {
    const data = await this.#file.read(start, end - start);
    if (!usesDictionary(data)) return data;
    const from = this.#chunk.start;
    const dictionary = await this.#file.read(from, this.#dictionaryEnd - from);
    const bytes = new Uint8Array(dictionary.length + data.length);
    bytes.set(dictionary);
    bytes.set(data, dictionary.length);
    return bytes;
  }

  async #extend(): Promise<void> {
    if (this.#segments.length === 0 && this.#at === this.#chunk.start) {
      await this.#skipDictionary();
      if (this.#chunk.index !== undefined) return this.#fromIndex(this.#chunk.index);
    }
    const firstRow = this.#segments.at(-1)?.endRow ?? 0;
    const start = this.#at;
    let [endRow, plainBytes, dictionaryBytes] = [firstRow, 0, 0];
    while (plainBytes < this.#segmentBytes() && endRow < this.#numRows) {
      const page = await this.#head(this.#at);
      if (page.kind !== 'v1' && page.kind !== 'v2')
        throw new Error(`a page of kind ${page.kind} among the data`);
      this.#at += page.headBytes + page.bodyBytes;
      if (this.#at > this.#chunk.end) throw new Error(`a page to byte ${this.#at} of ${this.#chunk.end}`);
      endRow += page.numValues;
      plainBytes += page.plainBytes;
      if (page.encoding === 'DICTIONARY') dictionaryBytes = this.#dictionaryBytes;
    }
    this.#add({ start, end: this.#at, firstRow, endRow, plainBytes: plainBytes + dictionaryBytes });
  }

  /** Not less than the dictionary, which is decoded for every segment. */
  #segmentBytes(): number {
    return Math.max(SEGMENT_BYTES, this.#dictionaryBytes);
  }

  #add(segment: Segment): void {
    const { firstRow, endRow } = segment;
    if (endRow <= firstRow || endRow > this.#numRows)
      throw new Error(`pages of rows ${firstRow} to ${endRow} of ${this.#numRows}`);
    this.#segments.push(segment);
  }

  async #skipDictionary(): Promise<void> {
    const page = await this.#head(this.#chunk.start);
    if (page.kind !== 'dictionary') return;
    this.#dictionaryEnd = this.#chunk.start + page.headBytes + page.bodyBytes;
    if (this.#dictionaryEnd > this.#chunk.end) throw new Error(`a dictionary to byte ${this.#dictionaryEnd}`);
    this.#at = this.#dictionaryEnd;
    this.#dictionaryBytes = page.plainBytes;
  }

  async #head(at: number): Promise<Page> {
    const left = this.#chunk.end - at;
    if (left <= 0) throw new Error(`an end of the pages at byte ${at}`);
    for (let length = HEAD_BYTES; ; length *= 16) {
      const bytes = await this.#file.read(at, Math.min(length, left));
      try {
        return readPage(bytes, 0);
      } catch (error) {
        // It may go on behind the bytes that were read.
        if (length >= Math.min(left, MAX_HEAD_BYTES)) throw error;
      }
    }
  }

  /** Source: PageLocation in https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift. */
  async #fromIndex({ offset, length }: { readonly offset: number; readonly length: number }): Promise<void> {
    const pages = readThrift(await this.#file.read(offset, length)).struct.get(1);
    if (!Array.isArray(pages) || pages.length === 0) throw new Error('an index without pages');
    const places = pages.map((page) => {
      if (!(page instanceof Map)) throw new Error('an index of something else than pages');
      const start = numberIn(page, 1, 'place of a page');
      return {
        start,
        end: start + numberIn(page, 2, 'size of a page'),
        firstRow: numberIn(page, 3, 'row of a page'),
      };
    });
    const ratio = Math.max(1, this.#chunk.plainBytes / (this.#chunk.end - this.#chunk.start));
    let [from, firstRow] = [this.#at, 0];
    for (const [i, { start, end }] of places.entries()) {
      const endRow = places[i + 1]?.firstRow ?? this.#numRows;
      const before = places[i - 1]?.end ?? this.#at;
      if (start < before || end <= start || end > this.#chunk.end || places[0]?.firstRow !== 0) {
        throw new Error(`a page from byte ${start} to ${end} in the index`);
      }
      if (start !== before) throw new Error(`a gap before byte ${start} in the index`);
      if ((end - from) * ratio < this.#segmentBytes() && i + 1 < places.length) continue;
      this.#add({
        start: from,
        end,
        firstRow,
        endRow,
        plainBytes: (end - from) * ratio + this.#dictionaryBytes,
      });
      [from, firstRow] = [end, endRow];
    }
  }
}

/** Whether one of the pages holds places in the dictionary. */
function usesDictionary(pages: Uint8Array): boolean {
  for (let at = 0; at < pages.length; ) {
    const page = readPage(pages, at);
    if (page.encoding === 'DICTIONARY') return true;
    at += page.headBytes + page.bodyBytes;
  }
  return false;
}
