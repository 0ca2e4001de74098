// Names and what they are.

import type { ComponentChildren } from "preact";

export interface Fact {
  name: string;
  value: ComponentChildren;
  /** On what it means, for people who point at it. */
  title?: string;
}

export function Facts({ facts }: { facts: readonly (Fact | undefined)[] }) {
  return (
    <dl class="facts">
      {facts
        .filter((fact) => fact !== undefined)
        .map(({ name, value, title }) => (
          <div key={name} class="fact" title={title}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** A part of a page with its heading. */
export function Section({
  title,
  children,
  actions,
}: {
  title: string;
  children: ComponentChildren;
  actions?: ComponentChildren;
}) {
  return (
    <section class="section panel">
      <div class="section-head">
        <h2>{title}</h2>
        {actions}
      </div>
      {children}
    </section>
  );
}
