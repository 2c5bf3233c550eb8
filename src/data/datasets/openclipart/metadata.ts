/**
 * What people wrote into a drawing's file: the Dublin Core fields of its RDF block, read by simple search. The files
 * of twenty years ago are often not well-formed enough for a strict parser, and a search is linear in any input.
 */
import { unescapeHtml } from '../../text/unescape-html.js';

/** The fields as written, white space collapsed. Empty where there is none. */
export interface ClipMetadata {
  readonly title: string;
  readonly description: string;
  /** Without empty ones. */
  readonly keywords: readonly string[];
  readonly author: string;
  /** As declared, nearly always 'en', whatever the title's language. */
  readonly language: string;
  /** URL of the licence as declared. */
  readonly licence: string;
}

/** Characters of the block that are looked at. */
const MAX_BLOCK = 64 * 1024;
/** Characters of one field that are kept. */
const MAX_FIELD = 2000;

/** Decodes a file by its byte order mark or XML declaration; as Latin-1 what is not the UTF-8 that it claims to be. */
export function decodeXml(bytes: Uint8Array): string {
  const declared = /^<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w-]+)/.exec(
    Buffer.from(bytes.subarray(0, 256)).toString('latin1'),
  )?.[1];
  const name = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : (declared ?? 'utf-8');
  try {
    return new TextDecoder(name, { fatal: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes).toString('latin1');
  }
}

/** Reads the metadata of an SVG's text. */
export function readMetadata(svg: string): ClipMetadata {
  const block = between(svg, '<metadata', '</metadata>')?.slice(0, MAX_BLOCK) ?? '';
  // Agents (the publisher and the author) have titles of their own.
  const work = without(block, ['dc:publisher', 'dc:creator', 'dc:rights', 'dc:contributor']);
  const agent = element(block, 'dc:creator') ?? '';
  const keywords: string[] = [];
  for (let rest = element(work, 'dc:subject') ?? '', item = ''; ; ) {
    const at = rest.indexOf('</rdf:li>');
    if (at < 0) break;
    item = rest.slice(0, at);
    rest = rest.slice(at + '</rdf:li>'.length);
    const text = textOf(item.slice(item.lastIndexOf('<rdf:li')));
    if (text !== '') keywords.push(text);
  }
  return {
    title: textOf(element(work, 'dc:title') ?? ''),
    description: textOf(element(work, 'dc:description') ?? ''),
    keywords,
    author: textOf(element(agent, 'dc:title') ?? agent),
    language: textOf(element(work, 'dc:language') ?? ''),
    licence: /<cc:license\b[^>]{0,200}?rdf:resource\s*=\s*"([^"]{0,200})"/.exec(block)?.[1] ?? '',
  };
}

/** What stands between the first `open` and the next `close`. */
function between(text: string, open: string, close: string): string | undefined {
  const start = text.indexOf(open);
  const end = start < 0 ? -1 : text.indexOf(close, start);
  return end < 0 ? undefined : text.slice(start + open.length, end);
}

/** The content of the first element of that name. */
function element(text: string, name: string): string | undefined {
  const content = between(text, `<${name}`, `</${name}>`);
  return content?.slice(content.indexOf('>') + 1);
}

/** The text without the elements of these names. */
function without(text: string, names: readonly string[]): string {
  let rest = text;
  for (const name of names) {
    const kept: string[] = [];
    for (;;) {
      const start = rest.indexOf(`<${name}`);
      const end = start < 0 ? -1 : rest.indexOf(`</${name}>`, start);
      if (end < 0) break;
      kept.push(rest.slice(0, start));
      rest = rest.slice(end + name.length + 3);
    }
    rest = kept.join('') + rest;
  }
  return rest;
}

function textOf(markup: string): string {
  const plain = markup.slice(0, 4 * MAX_FIELD).replace(/<[^<>]*>/g, ' ');
  return unescapeHtml(plain).replace(/\s+/g, ' ').trim().slice(0, MAX_FIELD);
}
