// The way to a page of a service, and its heading.

import type { ComponentChildren } from "preact";

import { t } from "../i18n";
import { link } from "../router";

export function Heading({ environment, service, title, children }: {
  environment: string;
  service: string;
  title: ComponentChildren;
  /** Beside the title. */
  children?: ComponentChildren;
}) {
  return (
    <div class="heading">
      <nav class="trail" aria-label={t().page.trail}>
        <ol>
          <li><a href={link({ page: "services", environment })}>{environment}</a></li>
          <li><a href={link({ page: "service", environment, service })}>{service}</a></li>
        </ol>
      </nav>
      <div class="heading-line">
        <h1>{title}</h1>
        {children}
      </div>
    </div>
  );
}
