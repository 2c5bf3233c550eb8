/**
 * Line charts as SVG text.
 */
import { drawSpec, NUM_SERIES_COLOURS } from './draw.js';

/** One line: its name in the legend and its points, ascending in x. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Drawn dashed: a configured value or a chance level beside a measured one. */
  readonly dashed?: boolean;
  /** Lines of one group share a colour; by default each name has its own. */
  readonly group?: string;
}

/** What a chart shows. */
export interface LineChart {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly series: readonly Series[];
  readonly logY?: boolean;
  /** Lets the y axis begin above 0, for values far from it. */
  readonly zoomY?: boolean;
  /** A d3 format of the y axis, such as '.0%'. */
  readonly yFormat?: string;
  /** Draws a faint raw line and a smoothed one over it. */
  readonly smooth?: boolean;
}

const MAX_POINTS = 400;

/** Averages runs of neighbouring points, so that a long run's chart stays small. */
export function downsample(points: Series['points'], maxPoints = MAX_POINTS): [number, number][] {
  if (points.length <= maxPoints) return points.map(([x, y]) => [x, y]);
  return Array.from({ length: maxPoints }, (_, bucket) => {
    const from = Math.floor((bucket * points.length) / maxPoints);
    const to = Math.floor(((bucket + 1) * points.length) / maxPoints);
    const part = points.slice(from, to);
    const last = part[part.length - 1] as readonly [number, number];
    return [last[0], part.reduce((sum, [, y]) => sum + y, 0) / part.length];
  });
}

/** An exponential average, corrected for its start as Adam's moments are; weight is a fraction of the run. */
export function smoothed(points: Series['points'], share = 0.03): [number, number][] {
  const keep = 1 - 1 / Math.max(1, points.length * share);
  let average = 0;
  let weight = 0;
  return points.map(([x, y]) => {
    average = keep * average + (1 - keep) * y;
    weight = keep * weight + (1 - keep);
    return [x, average / weight];
  });
}

function rowsOf(series: readonly Series[]): object[] {
  return series.flatMap(({ name, group, points }) =>
    downsample(points).map(([x, y]) => ({ x, y, name, group: group ?? name })),
  );
}

/**
 * Draws a chart.
 *
 * @returns one SVG element with a viewBox, labelled by its title for readers that cannot see it.
 */
export async function renderLineChart(chart: LineChart): Promise<string> {
  const groups = [...new Set(chart.series.map(({ name, group }) => group ?? name))];
  const solid = chart.series.filter(({ dashed }) => !dashed);
  const dashed = chart.series.filter(({ dashed: isDashed }) => isDashed);
  const encoding = {
    x: {
      field: 'x',
      type: 'quantitative',
      title: chart.xTitle,
      axis: { tickCount: 6, format: '~s' },
      scale: { nice: false },
    },
    y: {
      field: 'y',
      type: 'quantitative',
      title: chart.yTitle,
      axis: { tickCount: 5, ...(chart.yFormat ? { format: chart.yFormat } : {}) },
      scale: chart.logY ? { type: 'log' } : { zero: !chart.zoomY },
    },
    color: {
      field: 'group',
      type: 'nominal',
      scale: { domain: groups, range: groups.map((_, i) => `var(--series-${i % NUM_SERIES_COLOURS})`) },
      ...(groups.length === 1 ? { legend: null } : {}),
    },
    detail: { field: 'name' },
  };
  const line = (series: readonly Series[], style: object) => ({
    data: { values: rowsOf(series) },
    mark: { type: 'line', strokeWidth: 1.75, strokeJoin: 'round', ...style },
  });
  const smooth = solid.map((one) => ({ ...one, points: smoothed(one.points) }));
  const spec = {
    width: 460,
    height: 200,
    autosize: { type: 'fit-x', contains: 'padding' },
    encoding,
    layer: [
      ...(chart.smooth
        ? [line(solid, { strokeWidth: 1, opacity: 0.3 }), line(smooth, {})]
        : [line(solid, {})]),
      ...(dashed.length > 0 ? [line(dashed, { strokeDash: [5, 4], opacity: 0.8 })] : []),
    ],
  };
  return drawSpec(spec, chart.title);
}
