/** The threads that measure captions and images. */
import { clipMergesPath } from '../../assets/index.js';
import { builtFile } from '../../built-file.js';
import { AssetError, DataError } from '../../errors.js';
import { ThreadPool } from '../thread-pool.js';
import type { ImageFindings, ImageJob } from './examine-images.js';
import type { TextFindings, TextJob } from './examine-texts.js';
import type { EntityExtractor } from './extractors.js';
import type { InspectFindings, InspectJob, InspectWorkerData } from './inspect-worker.js';

/** Measures captions and images in threads. */
export class InspectThreads {
  readonly #pool: ThreadPool<InspectJob, InspectFindings>;

  private constructor(
    numThreads: number,
    data: InspectWorkerData,
    /** Whether captions are counted in CLIP tokens. */
    readonly hasTokenizer: boolean,
  ) {
    this.#pool = new ThreadPool(builtFile(import.meta.url, './inspect-worker.js'), numThreads, data, {
      transfer: (job) => (job.kind === 'images' ? [job.bytes.buffer] : []),
      stopped: (what, cause) =>
        new DataError(
          `A thread that inspects stopped: ${what}. Try again with fewer --workers if memory ran out.`,
          { cause },
        ),
      closed: () => new DataError('The inspection was ended.'),
    });
  }

  /** Without CLIP's merges, which are fetched on first use, captions are not counted in tokens. */
  static async start(numThreads: number, extractor: EntityExtractor): Promise<InspectThreads> {
    const mergesPath = await clipMergesPath().catch((error: unknown) => {
      if (error instanceof AssetError) return undefined;
      throw error;
    });
    return new InspectThreads(numThreads, { mergesPath, extractor }, mergesPath !== undefined);
  }

  /** Jobs worth having under way at a time. */
  get capacity(): number {
    return this.#pool.capacity;
  }

  texts(job: TextJob): Promise<TextFindings> {
    return this.#pool.run(job) as Promise<TextFindings>;
  }

  /** The bytes of the job are moved away. */
  images(job: ImageJob): Promise<ImageFindings> {
    return this.#pool.run(job) as Promise<ImageFindings>;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}
