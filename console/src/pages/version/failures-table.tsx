// How often requests to the version failed in the last hour, by code.

import { api } from "../../api/client";
import { count, ratio } from "../../format";
import { t } from "../../i18n";
import { Section } from "../../parts/facts";
import { Failure } from "../../parts/notice";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";
import { useResource } from "../../resource";
import { failuresOf } from "./failures";

export function Failures({ environment, service, version }: { environment: string; service: string; version: string }) {
  const texts = t().version;
  const series = useResource(
    `failures of ${environment}/${service}`,
    (signal) => api.series({ environment, service, step: 10 }, signal),
    { every: 10_000, concerns: () => false },
  );
  const document = series.document.value;
  if (document === undefined) {
    return series.failure.value === undefined ? null : <Failure failure={series.failure.value} title={texts.failed} />;
  }
  const rows = failuresOf(document, version);
  return (
    <Section title={texts.failed}>
      {rows.length === 0 ? (
        <p class="quiet">{texts.noFailures}</p>
      ) : (
        <Table
          label={texts.failed}
          rows={rows}
          id={({ code }) => code}
          columns={[
            { key: "code", label: texts.code, isHead: true, cell: ({ code }) => <code>{code}</code> },
            { key: "requests", label: texts.count, isNumber: true, cell: ({ requests }) => count(requests) },
            { key: "part", label: texts.ofAll, isNumber: true, cell: ({ part }) => ratio(part) },
            { key: "last", label: texts.lastSeen, cell: ({ last }) => <Time at={last} /> },
          ]}
        />
      )}
    </Section>
  );
}
