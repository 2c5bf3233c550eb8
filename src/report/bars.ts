/** Histograms and stacked bars as SVG text. */
import { drawSpec, NUM_SERIES_COLOURS } from './draw.js';

/** Histograms over one axis, each as shares of its own total. */
export interface HistogramChart {
  readonly title: string;
  readonly xTitle: string;
  /** Bars of equal width from 0 on, by name; one colour each, in their order. */
  readonly series: readonly {
    readonly name: string;
    readonly width: number;
    readonly counts: readonly number[];
  }[];
  /** Values on the x axis that are marked by a dashed line. */
  readonly marks?: readonly number[];
  /** What a step of the x axis is divided by for its labels, such as 100 for hundredths. Default 1. */
  readonly unit?: number;
}

/** Bars of one histogram at most: more cannot be told apart. */
const MAX_BARS = 64;

/** Draws histograms over each other. */
export function renderHistograms({
  title,
  xTitle,
  series,
  marks = [],
  unit = 1,
}: HistogramChart): Promise<string> {
  const end = Math.max(...series.map(({ width, counts }) => width * counts.length));
  let width = Math.max(1, ...series.map((one) => one.width));
  while (end / width > MAX_BARS) width *= 2;
  const values = series.flatMap(({ name, ...histogram }) => {
    const shares = rebinned(histogram, width);
    // A last point at 0 ends the last step.
    return [...shares, 0].map((y, i) => ({ name, x: (i * width) / unit, y }));
  });
  const color = coloursOf(
    'name',
    series.map(({ name }) => name),
  );
  const encoding = {
    x: {
      field: 'x',
      type: 'quantitative',
      title: xTitle,
      axis: { tickCount: 6, format: '~s' },
      scale: { nice: false, domainMin: 0 },
    },
    y: {
      field: 'y',
      type: 'quantitative',
      title: 'share',
      stack: null,
      axis: { tickCount: 5, format: '~%' },
    },
    color,
  };
  const step = { interpolate: 'step-after' };
  return drawSpec(
    {
      width: 460,
      height: 200,
      autosize: { type: 'fit-x', contains: 'padding' },
      layer: [
        { data: { values }, encoding, mark: { type: 'area', opacity: 0.18, ...step } },
        { data: { values }, encoding, mark: { type: 'line', strokeWidth: 1.5, ...step } },
        ...marks
          .filter((mark) => mark < end)
          .map((mark) => ({
            data: { values: [{ x: mark / unit }] },
            encoding: { x: { field: 'x', type: 'quantitative' } },
            mark: { type: 'rule', strokeDash: [4, 4], color: 'var(--muted)' },
          })),
      ],
    },
    title,
  );
}

/** Shares of wider bars, of which each is a whole number of the histogram's own. */
function rebinned(
  { width, counts }: { readonly width: number; readonly counts: readonly number[] },
  wanted: number,
): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const shares = new Array<number>(Math.ceil((width * counts.length) / wanted)).fill(0);
  for (const [i, count] of counts.entries()) {
    const bar = Math.floor((i * width) / wanted);
    shares[bar] = (shares[bar] as number) + count / total;
  }
  return shares;
}

/** Bars of several parts each, one below the other. */
export interface StackedBars {
  readonly title: string;
  readonly xTitle: string;
  /** Names of the parts, from the left. */
  readonly parts: readonly string[];
  readonly bars: readonly {
    readonly name: string;
    readonly values: readonly number[];
    /** Written at the bar's end. */
    readonly note: string;
  }[];
}

/** Draws stacked bars in their order. */
export function renderStackedBars({ title, xTitle, parts, bars }: StackedBars): Promise<string> {
  const values = bars.flatMap((bar) =>
    parts.map((part, order) => ({ bar: bar.name, part, order, value: bar.values[order] ?? 0 })),
  );
  const notes = bars.map(({ name, values: own, note }) => ({
    bar: name,
    end: own.reduce((sum, value) => sum + value, 0),
    note,
  }));
  const y = {
    field: 'bar',
    type: 'nominal',
    title: null,
    sort: null,
    axis: { domain: false, ticks: false, labelFontSize: 12 },
  };
  const most = Math.max(1, ...notes.map(({ end }) => end));
  const x = {
    type: 'quantitative',
    title: xTitle,
    scale: { domain: [0, most * 1.16], nice: false },
    axis: { tickCount: 6, format: '~s', grid: true },
  };
  return drawSpec(
    {
      width: 460,
      height: Math.max(90, 34 * bars.length),
      autosize: { type: 'fit-x', contains: 'padding' },
      layer: [
        {
          data: { values },
          mark: { type: 'bar', height: { band: 0.7 } },
          encoding: {
            y,
            x: { ...x, field: 'value' },
            order: { field: 'order' },
            color: coloursOf('part', parts),
          },
        },
        {
          data: { values: notes },
          mark: { type: 'text', align: 'left', dx: 5, fill: 'var(--text)', fontSize: 11 },
          encoding: { y, x: { ...x, field: 'end' }, text: { field: 'note' } },
        },
      ],
    },
    title,
  );
}

function coloursOf(field: string, names: readonly string[]): object {
  return {
    field,
    type: 'nominal',
    scale: { domain: names, range: names.map((_, i) => `var(--series-${i % NUM_SERIES_COLOURS})`) },
    ...(names.length === 1 ? { legend: null } : {}),
  };
}
