/** A web server on this machine that serves images by path, and can be told to misbehave. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import sharp from 'sharp';

/** Answers a request for a path. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface ImageServer {
  /** What is served, by path with the leading slash: bytes, or an answer of its own. All else is a 404. */
  readonly paths: Map<string, Uint8Array | Answer>;
  /** Paths in the order in which they were asked for. */
  readonly seen: string[];
  /** The most requests that were under way at once. */
  mostAtOnce(): number;
  url(path: string): string;
  close(): Promise<void>;
}

export async function startImageServer(): Promise<ImageServer> {
  const paths: ImageServer['paths'] = new Map();
  const seen: string[] = [];
  let active = 0;
  let most = 0;
  const server = createServer((request, response) => {
    const path = request.url as string;
    seen.push(path);
    most = Math.max(most, ++active);
    response.on('close', () => active--);
    const found = paths.get(path);
    if (typeof found === 'function') found(request, response);
    else if (found === undefined) response.writeHead(404).end('no such image');
    else response.writeHead(200, { 'content-length': found.length }).end(found);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    paths,
    seen,
    mostAtOnce: () => most,
    url: (path) => `http://127.0.0.1:${port}${path}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A picture of one colour, which differs by its number. */
export function picture(
  number: number,
  { width = 40, height = 30, format = 'jpeg' as 'jpeg' | 'png' | 'webp' | 'gif' } = {},
): Promise<Buffer> {
  const background = { r: (number * 37) % 256, g: (number * 91) % 256, b: number % 256 };
  return sharp({ create: { width, height, channels: 3, background } })
    .toFormat(format)
    .toBuffer();
}
