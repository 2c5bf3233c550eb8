/** Tokens of a batch's captions, made by the decoder's threads. */
import type { PlannedCaption } from './caption-plan.js';
import type { DecodedChunk } from './decode-chunk.js';
import type { TextFrame } from './text/token-batch.js';
import type { Decoder } from './worker-pool.js';

/** Tokens of n texts. */
export interface EncodedTexts {
  /** n * contextLength, padded. */
  readonly tokens: Int32Array;
  /** Per text, before truncation, start and end of text included. */
  readonly numTokens: Int32Array;
  readonly frame: TextFrame;
}

/** Texts of one job: one thread's work should not hold up the images behind it. */
const TEXTS_PER_JOB = 128;

/** Tokenizes captions. */
export async function encodeCaptions(
  decoder: Decoder,
  captions: readonly PlannedCaption[],
  contextLength: number,
): Promise<EncodedTexts> {
  if (captions.every(({ parts }) => parts === undefined)) {
    return encode(
      decoder,
      captions.map(({ text }) => text),
      contextLength,
    );
  }
  // What surrounds a text shows in an empty one and in another: the rest of a part's tokens are its own.
  const parts = captions.map(
    ({ text, parts: own }) => own ?? [{ text, maxTokens: Number.POSITIVE_INFINITY }],
  );
  const texts = ['', 'a', ...parts.flat().map(({ text }) => text)];
  const encoded = await encode(decoder, texts, contextLength);
  const tokensOf = (i: number): Int32Array => {
    const length = Math.min(contextLength, encoded.numTokens[i] as number);
    return encoded.tokens.subarray(i * contextLength, i * contextLength + length);
  };
  const [empty, letter] = [tokensOf(0), tokensOf(1)];
  const different = empty.findIndex((token, i) => token !== letter[i]);
  const prefix = empty.slice(0, different < 0 ? empty.length : different);
  const suffix = empty.slice(prefix.length);
  const padding = encoded.tokens[empty.length] ?? 0; // behind the empty text, if there is room
  let at = 2;
  const room = contextLength - empty.length;
  const rows = parts.map((own) => {
    const kept: number[] = [];
    let numOwn = 0;
    for (const { maxTokens } of own) {
      // As many as the text has, though no more than the context were kept of it.
      numOwn += Math.min(maxTokens, (encoded.numTokens[at] as number) - empty.length);
      const tokens = tokensOf(at++);
      kept.push(...tokens.slice(prefix.length, tokens.length - suffix.length).subarray(0, maxTokens));
    }
    return { ids: [...prefix, ...kept.slice(0, room), ...suffix], numTokens: numOwn + empty.length };
  });
  const tokens = new Int32Array(rows.length * contextLength).fill(padding);
  for (const [i, { ids }] of rows.entries()) tokens.set(ids, i * contextLength);
  return { tokens, numTokens: Int32Array.from(rows, ({ numTokens }) => numTokens), frame: encoded.frame };
}

async function encode(
  decoder: Decoder,
  texts: readonly string[],
  contextLength: number,
): Promise<EncodedTexts> {
  const jobs: Promise<DecodedChunk>[] = [];
  for (let at = 0; at < texts.length; at += TEXTS_PER_JOB) {
    const bytes = new Uint8Array(0); // of its own, as it is moved to the thread
    const part = texts.slice(at, at + TEXTS_PER_JOB);
    jobs.push(decoder.decode({ epoch: 0, keys: [], rows: [], texts: part, bytes, offsets: [0] }));
  }
  const tokens = new Int32Array(texts.length * contextLength);
  const numTokens = new Int32Array(texts.length);
  const done = await Promise.all(jobs);
  for (const [i, job] of done.entries()) {
    tokens.set(job.tokens, i * TEXTS_PER_JOB * contextLength);
    numTokens.set(job.numTokens, i * TEXTS_PER_JOB);
  }
  return { tokens, numTokens, frame: done[0]?.frame ?? { before: 0, after: 0 } };
}
