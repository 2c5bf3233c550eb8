/** Objects of S3 and of servers that speak its protocol, by the AWS SDK, which is loaded at the first use. */
import type { Readable } from 'node:stream';
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { isTemporary, parseRetryAfter, reason, TransferError } from '../../assets/request.js';
import { DataError } from '../../errors.js';
import type { S3Options } from './options.js';
import {
  changed,
  checkRange,
  isStrong,
  lied,
  type ObjectVersion,
  type RemoteObject,
  readBody,
  versionText,
} from './remote-object.js';

type Sdk = typeof import('@aws-sdk/client-s3');

/** One object of a listing. */
export interface S3Entry {
  readonly key: string;
  readonly size: number;
  readonly version: ObjectVersion;
}

/** A bucket and a key or prefix in it. */
export interface S3Address {
  readonly bucket: string;
  readonly key: string;
}

/** `s3://bucket/key`. The key is taken as it stands, with no escapes. @throws DataError without a bucket */
export function parseS3(url: string): S3Address {
  const match = /^s3:\/\/([^/]+)(?:\/(.*))?$/s.exec(url);
  if (match === null) throw new DataError(`${url}: is no S3 address. Write s3://BUCKET/KEY.`);
  return { bucket: match[1] as string, key: match[2] ?? '' };
}

/** The connection to S3 of one storage. */
export class S3 {
  private loaded: Promise<{ sdk: Sdk; client: S3Client; endpoint: string }> | undefined;

  constructor(
    private readonly options: S3Options,
    private readonly idleMs: number,
    private readonly signal: AbortSignal,
  ) {}

  /** Asks for size and version. @throws as `RemoteObject.readRange` */
  async open(path: string): Promise<RemoteObject> {
    const { bucket, key } = parseS3(path);
    const { sdk, client } = await this.connect();
    const head = await this.send((abortSignal) =>
      client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal }),
    );
    if (head.ContentLength === undefined) throw lied(path, 'its size', 'no Content-Length');
    return this.object(path, head.ContentLength, {
      etag: head.ETag,
      lastModified: head.LastModified?.toUTCString(),
    });
  }

  /** An object of which size and version are known from a listing. */
  async object(path: string, size: number, version: ObjectVersion): Promise<RemoteObject> {
    const { endpoint } = await this.connect();
    return {
      path,
      key: `${endpoint} ${path}`,
      size,
      version,
      readRange: (offset, length) => this.readRange(path, size, version, offset, length),
    };
  }

  /**
   * One page of the objects whose keys begin with `prefix`.
   *
   * @param isDeep also those with a further slash
   * @param token of the page before
   */
  async list(
    { bucket, key: prefix }: S3Address,
    isDeep: boolean,
    token: string | undefined,
  ): Promise<{ entries: S3Entry[]; next: string | undefined }> {
    const { sdk, client } = await this.connect();
    const command = new sdk.ListObjectsV2Command({
      Bucket: bucket,
      Prefix: prefix,
      ...(isDeep ? {} : { Delimiter: '/' }),
      ...(token === undefined ? {} : { ContinuationToken: token }),
    });
    const page = await this.send((abortSignal) => client.send(command, { abortSignal }));
    const entries = (page.Contents ?? []).flatMap(({ Key, Size, ETag, LastModified }): S3Entry[] => {
      if (Key === undefined || Size === undefined) return [];
      return [{ key: Key, size: Size, version: { etag: ETag, lastModified: LastModified?.toUTCString() } }];
    });
    return { entries, next: page.IsTruncated ? page.NextContinuationToken : undefined };
  }

  close(): void {
    this.loaded?.then(({ client }) => client.destroy()).catch(() => undefined);
  }

  private async readRange(
    path: string,
    size: number,
    version: ObjectVersion,
    offset: number,
    length: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { bucket, key } = parseS3(path);
    const { sdk, client } = await this.connect();
    const command = new sdk.GetObjectCommand({
      Bucket: bucket,
      Key: key,
      Range: `bytes=${offset}-${offset + length - 1}`,
      ...(isStrong(version.etag) ? { IfMatch: version.etag } : {}),
    });
    const reply = await this.send((abortSignal) => client.send(command, { abortSignal })).catch((error) => {
      const { status } = error as TransferError;
      if (status !== 412 && status !== 416) throw error;
      throw changed(path, `version ${versionText(version) ?? 'none'}`, `not that version (${status})`);
    });
    // On Node the body is a stream of Node's; the SDK's type covers browsers too.
    const body = reply.Body as Readable;
    try {
      const object = await this.object(path, size, version);
      const found = { etag: reply.ETag, lastModified: reply.LastModified?.toUTCString() };
      checkRange(object, { ...found, contentRange: reply.ContentRange }, offset, length);
    } catch (error) {
      body.destroy();
      throw error;
    }
    return readBody(path, body, length, this.idleMs);
  }

  /** Sends a command, which must be answered within the timeout. @throws TransferError */
  private async send<T>(command: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), this.idleMs);
    try {
      return await command(AbortSignal.any([controller.signal, this.signal]));
    } catch (error) {
      if (controller.signal.aborted) {
        throw new TransferError(`the server is silent for ${this.idleMs / 1000} s`, false, { cause: error });
      }
      throw describe(error);
    } finally {
      clearTimeout(timer);
    }
  }

  private connect(): Promise<{ sdk: Sdk; client: S3Client; endpoint: string }> {
    this.loaded ??= load(this.options);
    return this.loaded;
  }
}

async function load(options: S3Options): Promise<{ sdk: Sdk; client: S3Client; endpoint: string }> {
  // The SDK's version is pinned here, so its advice to move to a newer Node is not the user's to follow.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const sdk = await import('@aws-sdk/client-s3');
  const { AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL } = process.env;
  const endpoint = options.endpoint ?? AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL;
  const region = options.region ?? AWS_REGION ?? AWS_DEFAULT_REGION;
  const config: S3ClientConfig = {
    // Tries are counted in one place, for all protocols alike.
    maxAttempts: 1,
    followRegionRedirects: true,
    // Servers other than Amazon's lack the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    forcePathStyle: options.pathStyle ?? endpoint !== undefined,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(options.anonymous ? anonymous : {}),
  };
  const client = new sdk.S3Client({ ...config, ...(region === undefined ? {} : { region }) });
  const hasRegion = await client.config.region().then(
    () => true,
    () => false,
  );
  return {
    sdk,
    client: hasRegion ? client : new sdk.S3Client({ ...config, region: 'us-east-1' }),
    endpoint: endpoint ?? '',
  };
}

/** A request that is not signed; the SDK insists on credentials all the same. */
const anonymous = {
  credentials: { accessKeyId: '', secretAccessKey: '' },
  signer: { sign: <T>(request: T): Promise<T> => Promise.resolve(request) },
} satisfies S3ClientConfig;

/** What of an SDK's error is used here. */
interface SdkError {
  readonly name?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

function describe(error: unknown): TransferError {
  const { name, $metadata, $response } = error as SdkError;
  const status = $metadata?.httpStatusCode;
  if (name === 'CredentialsProviderError') {
    return new TransferError(
      `no AWS credentials were found (${reason(error)}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a ` +
        'profile, or the storage option s3.anonymous for a public bucket',
      true,
      { cause: error },
    );
  }
  const text =
    status === undefined
      ? `cannot reach the server (${reason(error)})`
      : `the server answered ${status} ${name === 'Unknown' ? '' : (name ?? '')}`.trim();
  return new TransferError(text, status !== undefined && !isTemporary(status), {
    cause: error,
    status,
    retryAfterMs: parseRetryAfter($response?.headers?.['retry-after']),
  });
}
