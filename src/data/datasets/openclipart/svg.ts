/** An SVG's page, found and changed in the text of its root element. */

/** A rectangle in user units. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** An SVG whose root element has been found. */
export interface ClipSvg {
  /** Up to and with the root element's name. */
  readonly before: string;
  /** Its attributes, but for those that say how large the page is and which part of the plane it shows. */
  readonly attributes: string;
  /** From the root's `>` or `/>`. */
  readonly after: string;
  /** The part of the plane that the page shows. */
  readonly page: Box;
}

/** User units of the lengths' units, at CSS's 96 dots per inch. */
const unitSizes: Readonly<Record<string, number>> = {
  '': 1,
  px: 1,
  pt: 96 / 72,
  pc: 16,
  in: 96,
  cm: 96 / 2.54,
  mm: 96 / 25.4,
};

/** The plane that is searched for a drawing whose file says nothing of its page. */
const UNKNOWN_PAGE: Box = { left: -1024, top: -1024, width: 4096, height: 4096 };

/** Finds the root element and its page; undefined if there is no `<svg>` or its page has no size. */
export function parseSvg(text: string): ClipSvg | undefined {
  const start = rootAt(text);
  const name =
    start === undefined ? null : /^<(?:[\w.-]+:)?svg(?=[\s/>])/.exec(text.slice(start, start + 80));
  if (start === undefined || name === null) return undefined;
  const from = start + name[0].length;
  const end = tagEnd(text, from);
  if (end === undefined) return undefined;
  const all = text.slice(from, end);
  const page = pageOf(attribute(all, 'viewBox'), attribute(all, 'width'), attribute(all, 'height'));
  if (page === undefined) return undefined;
  const attributes = all.replace(
    /\s(?:width|height|viewBox|preserveAspectRatio)\s*=\s*(?:"[^"]*"|'[^']*')/g,
    ' ',
  );
  return { before: text.slice(0, from), attributes, after: text.slice(end), page };
}

/** The SVG drawn so that `view` fills `width` by `height` pixels. */
export function viewSvg(
  { before, attributes, after }: ClipSvg,
  view: Box,
  width: number,
  height: number,
): string {
  const box = [view.left, view.top, view.width, view.height].join(' ');
  return `${before} width="${width}" height="${height}" viewBox="${box}" preserveAspectRatio="none"${attributes}${after}`;
}

/** Where the root element begins: after declarations, comments and the document type with its entities. */
function rootAt(text: string): number | undefined {
  let at = text.indexOf('<');
  while (at >= 0) {
    const closing = text.startsWith('<!--', at)
      ? '-->'
      : text.startsWith('<?', at)
        ? '?>'
        : text.startsWith('<!', at)
          ? doctypeClosing(text, at)
          : undefined;
    if (closing === undefined) return at;
    const end = text.indexOf(closing, at);
    if (end < 0) return undefined;
    at = text.indexOf('<', end + closing.length);
  }
  return undefined;
}

const doctypeClosing = (text: string, at: number): string => {
  const bracket = text.indexOf('[', at);
  const close = text.indexOf('>', at);
  return bracket >= 0 && bracket < close ? ']>' : '>';
};

/** Where the tag's `>` or `/>` is, quoted attributes aside. */
function tagEnd(text: string, from: number): number | undefined {
  let at = from;
  while (at < text.length) {
    const char = text[at];
    if (char === '>') return text[at - 1] === '/' ? at - 1 : at;
    if (char === '"' || char === "'") {
      at = text.indexOf(char, at + 1);
      if (at < 0) return undefined;
    }
    at++;
  }
  return undefined;
}

function attribute(attributes: string, name: string): string | undefined {
  const [, , double, single] =
    new RegExp(`(^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(attributes) ?? [];
  return double ?? single;
}

function pageOf(viewBox?: string, width?: string, height?: string): Box | undefined {
  const numbers = viewBox
    ?.trim()
    .split(/[\s,]+/)
    .map(Number);
  if (numbers?.length === 4 && numbers.every(Number.isFinite)) {
    const [left, top, w, h] = numbers as [number, number, number, number];
    return w > 0 && h > 0 ? { left, top, width: w, height: h } : undefined;
  }
  const [w, h] = [lengthOf(width), lengthOf(height)];
  if (w === undefined || h === undefined) return UNKNOWN_PAGE;
  return w > 0 && h > 0 ? { left: 0, top: 0, width: w, height: h } : undefined;
}

/** A length in user units; undefined for none, and for shares of a page that is not there. */
function lengthOf(text: string | undefined): number | undefined {
  const [, number, unit] = /^\s*([+-]?[\d.]+(?:e[+-]?\d+)?)\s*([a-z]*)\s*$/i.exec(text ?? '') ?? [];
  const size = unitSizes[(unit ?? '?').toLowerCase()];
  const value = Number(number) * (size ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}
