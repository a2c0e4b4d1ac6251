// How a chart looks, in the colours of the page.

import { dayOf, shown, timeOf } from './moments.js';

export const HEIGHT = 150;

// Values that are nearer to each other than so many pixels are joined by a thin line. It is read better there, and without a
// graphics card it is drawn 20 to 60 times as quickly: a wide one is filled as one area with all its crossings.
const CLOSE = 4;
const [THIN, WIDE] = [1, 2];

/**
 * What uPlot is told of a panel: its title, its lines, whether they go in steps, whether each value has a dot, and what they are
 * to stay below.
 */
export function look({ title, lines, steps, dots, objective }) {
  const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--edge'), width: 1 }, ticks: { stroke: colour('--edge') } };
  const series = lines.map((line) => ({
    label: line.name,
    stroke: colour(line.colour),
    width: WIDE,
    dash: line.dash,
    spanGaps: false,
    paths: steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
    points: { show: dots ?? false },
    value: (_, value) => (value === null ? '–' : String(Math.round(value * 100) / 100)),
  }));
  return {
    title: objective === undefined ? title : `${title}, objective ${objective}`,
    height: HEIGHT,
    scales: { y: { range: (_, low, high) => [0, Math.max(top(high ?? 0, objective), 1) * 1.1] } },
    axes: [{ ...axis, values: times }, { ...axis, size: 48 }],
    series: [{ label: 'Time', value: (_, at) => (at === null ? '–' : shown(at * 1000)) }, ...series],
    hooks: { drawClear: [fitLines] },
  };
}

/** Has lines be as wide as there is room between the values that are shown. */
function fitLines(chart) {
  const [first, last] = chart.series[0].idxs;
  const room = chart.bbox.width / devicePixelRatio / (last - first);
  for (const series of chart.series.slice(1)) series.width = room < CLOSE ? THIN : WIDE;
}

/** What a scale goes up to: the objective is on it from a quarter of it on, below which the lines would be too flat. */
function top(high, objective = 0) {
  return high > objective / 4 ? Math.max(high, objective) : high;
}

/** What stands at the axis of time: times of day, and the day where it is another than before. */
function times(_, splits, axis, space, step) {
  let before = null;
  return splits.map((at) => {
    const date = new Date(at * 1000);
    const [time, day] = [timeOf(date, step < 60), dayOf(date)];
    const isSame = day === before;
    before = day;
    return isSame ? time : `${time}\n${day}`;
  });
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** That of a column of the grid that charts stand in; something, where it is not shown. */
export function columnWidth(place) {
  return Math.floor(parseFloat(getComputedStyle(place).gridTemplateColumns)) || 300;
}

/** Draws anew in another theme, and as wide as there is room. */
export function keepFitting(place, draw, drawn) {
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  new ResizeObserver(() => {
    if (place.clientWidth === 0) return;
    const width = columnWidth(place);
    for (const chart of drawn()) if (chart.width !== width) chart.setSize({ width, height: HEIGHT });
  }).observe(place);
}
