/**
 * Charts as SVG text, drawn on the server by vega. Colours are CSS variables of the page, so that one chart serves the
 * light and the dark theme.
 */
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';

/** How many colours the page defines: --series-0 and on. */
export const NUM_SERIES_COLOURS = 8;

const CONFIG = {
  background: 'transparent',
  font: 'inherit',
  view: { stroke: null },
  axis: {
    domainColor: 'var(--line)',
    gridColor: 'var(--line)',
    tickColor: 'var(--line)',
    labelColor: 'var(--muted)',
    titleColor: 'var(--muted)',
    titleFontWeight: 'normal',
    titleFontSize: 12,
    labelFontSize: 11,
  },
  axisX: { grid: false },
  legend: {
    labelColor: 'var(--text)',
    labelFontSize: 12,
    orient: 'bottom',
    title: null,
    labelLimit: 260,
    symbolStrokeWidth: 2,
    symbolOpacity: 1,
    symbolDash: [1, 0],
    columns: 3,
  },
} as const;

/**
 * Draws a specification of vega-lite in the style of the page.
 *
 * @returns one SVG element with a viewBox, labelled by its title for readers that cannot see it.
 */
export async function drawSpec(spec: object, title: string): Promise<string> {
  const { spec: program } = compile({ ...spec, config: CONFIG } as unknown as TopLevelSpec);
  const view = new View(parse(program), { renderer: 'none' });
  try {
    const svg = await view.toSVG();
    return svg.replace('<svg ', `<svg role="img" aria-label="${title.replaceAll('"', '&quot;')}" `);
  } finally {
    view.finalize();
  }
}
