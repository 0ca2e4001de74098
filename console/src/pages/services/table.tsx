// The rows of the list of services.

import type { ServiceSummary } from "../../api/documents";
import { count, milliseconds, ratio, rate } from "../../format";
import { t } from "../../i18n";
import { Outward } from "../../parts/button";
import { Figure } from "../../parts/figure";
import { ShareBar } from "../../parts/share-bar";
import { HealthBadge } from "../../parts/status";
import { type Column, Table } from "../../parts/table";
import { link } from "../../router";

export function ServicesTable({
  services,
  withEnvironment,
}: {
  services: readonly ServiceSummary[];
  withEnvironment: boolean;
}) {
  const texts = t().services;
  const { columns: names } = texts;
  const environment: Column<ServiceSummary> = {
    key: "environment",
    label: names.environment,
    cell: (service) => service.environment,
  };
  const columns: Column<ServiceSummary>[] = [
    { key: "service", label: names.service, isHead: true, cell: (service) => <Name service={service} /> },
    ...(withEnvironment ? [environment] : []),
    { key: "health", label: names.health, cell: (service) => <HealthCell service={service} /> },
    {
      key: "versions",
      label: names.versions,
      cell: ({ versions }) => <ShareBar parts={versions.map(({ name, share }) => ({ version: name, share }))} />,
    },
    {
      key: "rate",
      label: names.rate,
      isNumber: true,
      title: texts.lastMinute,
      cell: ({ requests_per_second: value }) => (
        <Figure value={value} show={(value) => t().units.rate(rate(value))} isEarly />
      ),
    },
    {
      key: "errors",
      label: names.errors,
      isNumber: true,
      title: texts.lastMinute,
      cell: ({ error_ratio: value }) => <Figure value={value} show={ratio} />,
    },
    {
      key: "p99",
      label: names.p99,
      isNumber: true,
      title: texts.lastMinute,
      cell: ({ p99_ms: value }) => <Figure value={value} show={milliseconds} />,
    },
    { key: "in-flight", label: names.inFlight, isNumber: true, cell: ({ in_flight: value }) => count(value) },
  ];
  const id = ({ environment, name }: ServiceSummary) => `${environment}/${name}`;
  return <Table label={texts.title} columns={columns} rows={services} id={id} />;
}

function Name({ service }: { service: ServiceSummary }) {
  const { environment, name, url } = service;
  return (
    <div class="service-name">
      <a href={link({ page: "service", environment, service: name })}>{name}</a>
      <Outward class="quiet small" url={url}>
        {url.replace(/^https?:\/\//, "")}
      </Outward>
    </div>
  );
}

function HealthCell({ service }: { service: ServiceSummary }) {
  return (
    <div class="health">
      <HealthBadge health={service.health} />
      {service.reason !== undefined && service.health !== "ok" && <p class="health-reason">{service.reason}</p>}
    </div>
  );
}
