/** Tokens of a batch's captions, made by the decoder's threads. */
import type { PlannedCaption } from './caption-plan.js';
import type { DecodedChunk } from './decode-chunk.js';
import type { Decoder } from './worker-pool.js';

/** Tokens of n texts. */
export interface EncodedTexts {
  /** n * contextLength, zero-padded. */
  readonly tokens: Int32Array;
  /** Per text, before truncation, start and end of text included. */
  readonly numTokens: Int32Array;
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
  let at = 2;
  const joined = parts.map((own) =>
    own.flatMap(({ maxTokens }) => {
      const tokens = tokensOf(at++);
      return [...tokens.subarray(prefix.length, tokens.length - suffix.length)].slice(0, maxTokens);
    }),
  );
  return assemble(joined, prefix, suffix, contextLength);
}

/** The tokens between their start and end, cut to the context with the end kept. */
function assemble(
  texts: readonly number[][],
  prefix: Int32Array,
  suffix: Int32Array,
  contextLength: number,
): EncodedTexts {
  const tokens = new Int32Array(texts.length * contextLength);
  const around = prefix.length + suffix.length;
  for (const [i, own] of texts.entries()) {
    const kept = own.slice(0, contextLength - around);
    tokens.set([...prefix, ...kept, ...suffix], i * contextLength);
  }
  return { tokens, numTokens: Int32Array.from(texts, (own) => own.length + around) };
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
  for (const [i, job] of (await Promise.all(jobs)).entries()) {
    tokens.set(job.tokens, i * TEXTS_PER_JOB * contextLength);
    numTokens.set(job.numTokens, i * TEXTS_PER_JOB);
  }
  return { tokens, numTokens };
}
