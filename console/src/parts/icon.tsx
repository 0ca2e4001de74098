// Icons, drawn here so that none is fetched. They say nothing that a word beside them does not say, so readers skip
// them.

const PATHS = {
  check: "M4 8.5l2.6 2.6L12 5.2",
  attention: "M8 4.2v4.6M8 11.4v.2M8 1.6l6.6 12H1.4z",
  cross: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  moon: "M12.6 9.8A5.4 5.4 0 0 1 6.2 3.4a5.4 5.4 0 1 0 6.4 6.4z",
  off: "M8 2.5v5M4.6 4.6a5 5 0 1 0 6.8 0",
  external: "M6 3.5H3.5v9h9V10M9 3.5h3.5V7M12.2 3.8L7.4 8.6",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.4 10.4l3.4 3.4",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  right: "M6 3.5L10.5 8 6 12.5",
  left: "M10 3.5L5.5 8l4.5 4.5",
  dot: "M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6z",
  spin: "M8 2a6 6 0 1 1-6 6",
  back: "M5.5 3L2.5 6l3 3M2.8 6H10a3.5 3.5 0 0 1 0 7H6",
  info: "M8 7.2v4M8 4.8v.2M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4z",
  plus: "M8 3v10M3 8h10",
  scales: "M2.5 5h11M2.5 11h11M6 3v4M10.5 9v4",
  up: "M8 13V3.5M4 7.2L8 3.2l4 4",
  down: "M8 3v9.5M4 8.8l4 4 4-4",
  trash: "M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.6 9h5.8l.6-9",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, spin = false }: { name: IconName; spin?: boolean }) {
  return (
    <svg class={spin ? "icon icon-spin" : "icon"} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
