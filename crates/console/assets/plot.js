// How a chart looks, in the colours of the page.

export const HEIGHT = 150;

/** What uPlot is told of a panel: its title, its lines, whether they go in steps, and whether each value has a dot. */
export function look({ title, lines, steps, dots }) {
  const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--edge'), width: 1 }, ticks: { stroke: colour('--edge') } };
  const series = lines.map((line) => ({
    label: line.name,
    stroke: colour(line.colour),
    width: 2,
    dash: line.dash,
    spanGaps: false,
    paths: steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
    points: { show: dots ?? false },
    value: (_, value) => (value === null ? '–' : String(Math.round(value * 100) / 100)),
  }));
  return {
    title,
    height: HEIGHT,
    scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, 1) * 1.1] } },
    axes: [axis, { ...axis, size: 48 }],
    series: [{}, ...series],
  };
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** That of a column of the grid that charts stand in. */
export function columnWidth(place) {
  return Math.floor(parseFloat(getComputedStyle(place).gridTemplateColumns));
}

/** Draws anew in another theme, and as wide as there is room. */
export function keepFitting(place, draw, drawn) {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  new ResizeObserver(() => {
    const width = columnWidth(place);
    for (const chart of drawn()) if (chart.width !== width) chart.setSize({ width, height: HEIGHT });
  }).observe(place);
}
