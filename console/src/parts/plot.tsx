// A figure of several versions over time, with the moments at which somebody changed the traffic.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import { clock } from "../format";
import { t } from "../i18n";
import { language, theme } from "../settings";

export interface PlotLine {
  name: string;
  tone: string;
  values: readonly (number | null)[];
}

export interface PlotProps {
  title: string;
  /** Seconds since 1970, ascending. */
  times: readonly number[];
  lines: readonly PlotLine[];
  /** A value with its unit. */
  show: (value: number) => string;
  /** Seconds since 1970. */
  marks: readonly number[];
  /** Whether a value holds until the next one. */
  isStepped?: boolean;
  /** Where the scale ends; without it, a little above the largest value. */
  most?: number;
}

const HEIGHT = 170;

/** Seconds that a plot shows at least. */
const SPAN = 60;

/** Seconds between two times of the axis: one of these, none below what a time of day tells apart. */
const TICKS = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200];

/** Beside the drawing, so that half of a time has room there. */
const EDGE = 30;

export function Plot(props: PlotProps) {
  const { title, times, lines, show, marks } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  // The plot outlives many renderings, and asks for what is newest when it draws.
  const newest = useRef(props);
  newest.current = props;
  const look = [theme.value, language.value, ...lines.map(({ name, tone }) => `${name} ${tone}`)].join();
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const made = new uPlot(options(element, newest), dataOf(newest.current), element);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [look]);
  useEffect(() => {
    plot.current?.setData(dataOf(newest.current));
  }, [times, lines, marks, look]);
  const latest = lines.map(({ name, values }) => {
    const value = values.findLast(isKnown);
    return value == null ? name : `${name} ${show(value)}`;
  });
  return (
    <figure class="plot">
      <figcaption>{title}</figcaption>
      <div ref={place} class="plot-place" role="img" aria-label={`${title}: ${latest.join(", ")}`} />
    </figure>
  );
}

const isKnown = (value: number | null) => value !== null;

/** A process that has just begun has one moment: the time before it makes a span, without which uPlot shows a day. */
function dataOf({ times, lines }: PlotProps): uPlot.AlignedData {
  const [first, last] = [times[0], times.at(-1)];
  const isShort = first !== undefined && last !== undefined && last - first < SPAN;
  const [start, gap] = isShort ? [[last - SPAN], [null]] : [[], []];
  return [[...start, ...times], ...lines.map(({ values }) => [...gap, ...values])];
}

function options(element: HTMLElement, newest: { current: PlotProps }): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const { lines, isStepped, most: end } = newest.current;
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, EDGE, 0, 0],
    cursor: { y: false, points: { size: 6 } },
    legend: { live: true },
    scales: { y: { range: (_, __, most) => [0, end ?? (most > 0 ? most * 1.08 : 1)] } },
    axes: [
      {
        ...axis,
        size: 34,
        space: 75,
        incrs: TICKS,
        values: (_, ticks) => ticks.map((tick) => clock(new Date(tick * 1000))),
      },
      { ...axis, size: 72, space: 36, values: (_, ticks) => ticks.map((tick) => newest.current.show(tick)) },
    ],
    series: [
      {
        label: t().units.time,
        // Where nobody points at a moment, the legend has the newest.
        value: (plot, time, _, at) => {
          const told = at === null ? plot.data[0].at(-1) : time;
          return told == null ? "–" : clock(new Date(told * 1000));
        },
      },
      ...lines.map(({ name, tone }) => ({
        label: name,
        stroke: colour(tone),
        width: 1.6,
        // One moment makes no line.
        points: { show: (plot: uPlot) => plot.data[0].length < 4 },
        value: (_: uPlot, value: number | null, series: number, at: number | null) => {
          const known = at === null ? newest.current.lines[series - 1]?.values.findLast(isKnown) : value;
          return known == null ? "–" : newest.current.show(known);
        },
        ...(isStepped === true && uPlot.paths.stepped !== undefined
          ? { paths: uPlot.paths.stepped({ align: 1 }) }
          : {}),
      })),
    ],
    hooks: { draw: [(plot) => mark(plot, newest.current.marks, colour("edge"))] },
  };
}

function mark(plot: uPlot, marks: readonly number[], colour: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const at of marks) {
    const x = Math.round(plot.valToPos(at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
