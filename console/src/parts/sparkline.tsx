// A small line of how a figure went, drawn by uPlot. The figure itself stands beside it in words.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import { theme } from "../settings";

export interface SparklineProps {
  /** Seconds since 1970, ascending. */
  times: readonly number[];
  values: readonly (number | null)[];
  /** The name of a colour in `theme.css`: `tone-0`. */
  tone: string;
  label: string;
}

const SIZE = { width: 108, height: 26 };

export function Sparkline({ times, values, tone, label }: SparklineProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const chosen = theme.value;
  useEffect(() => {
    if (place.current === null) return undefined;
    const colour = getComputedStyle(place.current).getPropertyValue(`--${tone}`).trim();
    const made = new uPlot(options(colour), [[], []], place.current);
    plot.current = made;
    return () => made.destroy();
  }, [tone, chosen]);
  useEffect(() => {
    plot.current?.setData([[...times], [...values]]);
  }, [times, values, tone, chosen]);
  return <div class="sparkline" ref={place} role="img" aria-label={label} />;
}

function options(colour: string): uPlot.Options {
  return {
    ...SIZE,
    padding: [2, 1, 2, 1],
    cursor: { show: false },
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: {
      x: { time: false },
      y: { range: (_, __, most) => [0, most > 0 ? most * 1.05 : 1] },
    },
    series: [{}, { stroke: colour, fill: `${colour}22`, width: 1.5, points: { show: false }, spanGaps: false }],
  };
}
