/**
 * What servers say about the use of their images: `X-Robots-Tag` with noai, noimageai, noindex or noimageindex, as
 * img2dataset honours it, and `TDM-Reservation: 1` (W3C community group "TDM Reservation Protocol").
 */

/** Directives that forbid a use as training data; `none` stands for noindex and nofollow. */
const FORBIDDING: ReadonlySet<string> = new Set(['noai', 'noimageai', 'noindex', 'noimageindex', 'none']);
/** Directives that have a value after a colon, and so are no crawler's name. */
const WITH_VALUE = /^(unavailable_after|max-snippet|max-image-preview|max-video-preview)$/;
/** Who is meant by name besides capstan: what is written for the best-known downloader of image lists is meant for all. */
const ALSO_MEANT: readonly string[] = ['*', 'img2dataset', 'capstan'];

/** Headers by name in lower case, each with all of its lines. */
export type HeaderLines = Readonly<Record<string, readonly string[] | undefined>>;

/**
 * What forbids the use of an image, as it stands in the headers; undefined if nothing does. A directive after the name
 * of a crawler is meant for that one only, to the end of its line.
 *
 * @param agent the product name of the User-Agent that is sent, in lower case
 */
export function findOptOut(headers: HeaderLines, agent: string): string | undefined {
  for (const line of headers['x-robots-tag'] ?? []) {
    let isMeant = true;
    for (const part of line.toLowerCase().split(',')) {
      const found = /^\s*([^\s:]+)\s*:\s*(.*)$/.exec(part);
      const name = found?.[1];
      let directive = part.trim();
      if (name !== undefined && !WITH_VALUE.test(name)) {
        isMeant = name === agent || ALSO_MEANT.includes(name);
        directive = (found?.[2] ?? '').trim();
      }
      if (isMeant && FORBIDDING.has(directive)) return `X-Robots-Tag: ${line}`;
    }
  }
  const reserved = headers['tdm-reservation']?.find((value) => value.trim() === '1');
  return reserved === undefined ? undefined : `TDM-Reservation: ${reserved}`;
}

/** The product that a User-Agent begins with, in lower case: `capstan` of `capstan/0.1 (+address)`. */
export const productOf = (userAgent: string): string => /^[^/\s]*/.exec(userAgent.toLowerCase())?.[0] ?? '';
