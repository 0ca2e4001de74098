// The head of a page of a service that has no actions of its own.

import type { ComponentChildren } from "preact";

import { ServiceNav } from "./head";

export function Heading({
  environment,
  service,
  title,
  children,
}: {
  environment: string;
  service: string;
  title: string;
  /** Beside the title. */
  children?: ComponentChildren;
}) {
  return (
    <>
      <ServiceNav environment={environment} service={service} />
      <div class="heading-line">
        <h1>{title}</h1>
        {children}
      </div>
    </>
  );
}
