/** A web server on this machine that serves byte ranges of files in memory, and can be told to misbehave. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Answers a request in its own way; returns false to have it served as usual. */
export type Trick = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface RangeServer {
  /** Content by path, with the leading slash. */
  readonly files: Map<string, Uint8Array>;
  /** Every request so far: path, and range if it has one. */
  readonly seen: { path: string; range: string | undefined; headers: IncomingMessage['headers'] }[];
  trick: Trick | undefined;
  /** Answers as usual: what a trick may do later. */
  serve(request: IncomingMessage, response: ServerResponse): void;
  url(path: string): string;
  close(): Promise<void>;
}

export async function startRangeServer(): Promise<RangeServer> {
  const files = new Map<string, Uint8Array>();
  const seen: RangeServer['seen'] = [];
  const server = createServer((request, response) => {
    const path = new URL(request.url as string, 'http://localhost').pathname;
    seen.push({ path, range: request.headers.range, headers: request.headers });
    if (self.trick?.(request, response)) return;
    self.serve(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const self: RangeServer = {
    files,
    seen,
    trick: undefined,
    serve: (request, response) => {
      const { pathname } = new URL(request.url as string, 'http://localhost');
      serve(files.get(decodeURIComponent(pathname)), request, response);
    },
    url: (path) => `http://127.0.0.1:${port}${path}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return self;
}

/** The tag under which the server serves these bytes. */
export function etagOf(bytes: Uint8Array): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

function serve(body: Uint8Array | undefined, request: IncomingMessage, response: ServerResponse): void {
  if (body === undefined) {
    response.writeHead(404).end();
    return;
  }
  const etag = etagOf(body);
  const condition = request.headers['if-match'];
  if (condition !== undefined && condition !== etag) {
    response.writeHead(412).end();
    return;
  }
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const [start, end] = [Number(match?.[1] ?? 0), Math.min(Number(match?.[2] ?? 0), body.length - 1)];
  if (match === null) response.writeHead(200, { etag, 'content-length': body.length }).end(body);
  else if (start >= body.length) response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
  else {
    const headers = {
      etag,
      'content-length': end + 1 - start,
      'content-range': rangeOf(start, end, body.length),
    };
    response.writeHead(206, headers).end(body.subarray(start, end + 1));
  }
}

export function rangeOf(start: number, end: number, size: number): string {
  return `bytes ${start}-${end}/${size}`;
}
