// The head of a service's pages: where one is, and what can be done. Other pages of the service show it without the
// actions.

import type { ServiceDocument } from "../../api/documents";
import type { Open } from "../../actions/others";
import { t } from "../../i18n";
import { ChangeButton, ChangeLink, Outward } from "../../parts/button";
import { link, place } from "../../router";

export function Head({
  environment,
  service,
  onOpen,
}: {
  environment: string;
  service: ServiceDocument;
  onOpen: (open: Open) => void;
}) {
  const texts = t().service;
  return (
    <>
      <ServiceNav environment={environment} service={service.name} />
      <div class="title">
        <div>
          <h1>{service.name}</h1>
          <p class="title-line">
            <Outward url={service.url}>
              {texts.visit} {service.url.replace(/^https?:\/\//, "")}
            </Outward>
          </p>
        </div>
        <div class="buttons">
          <ChangeButton kind="primary" icon="scales" onClick={() => onOpen({ dialog: "traffic" })}>
            {texts.traffic}
          </ChangeButton>
          <ChangeLink icon="plus" href={link({ page: "new-version", environment, service: service.name })}>
            {texts.newVersion}
          </ChangeLink>
          <ChangeButton icon="back" onClick={() => onOpen({ dialog: "rollback" })}>
            {texts.rollback}
          </ChangeButton>
          <ChangeButton
            icon="off"
            blocked={service.serving === "offline" ? texts.isOfflineAlready : undefined}
            onClick={() => onOpen({ dialog: "offline" })}
          >
            {texts.offline}
          </ChangeButton>
        </div>
      </div>
    </>
  );
}

/** Where one is, and the pages beside it: for every page of a service. */
export function ServiceNav({ environment, service }: { environment: string; service: string }) {
  const texts = t().service;
  const { page } = place.value.route;
  const here = { environment, service };
  return (
    <div class="where">
      <nav aria-label={texts.breadcrumb}>
        <ol class="crumbs">
          <li>
            <a href={link({ page: "services" })}>{t().shell.services}</a>
          </li>
          <li>
            <a href={link({ page: "services", environment })}>{environment}</a>
          </li>
          <li>
            <a href={link({ page: "service", ...here })} aria-current={page === "service" ? "page" : undefined}>
              {service}
            </a>
          </li>
        </ol>
      </nav>
      <nav class="tabs" aria-label={texts.pagesLabel}>
        <a href={link({ page: "service", ...here })} aria-current={page === "service" ? "page" : undefined}>
          {texts.pages.overview}
        </a>
        <a href={link({ page: "history", ...here })} aria-current={page === "history" ? "page" : undefined}>
          {texts.pages.history}
        </a>
        <a href={link({ page: "explain", ...here })} aria-current={page === "explain" ? "page" : undefined}>
          {texts.pages.explain}
        </a>
      </nav>
    </div>
  );
}
