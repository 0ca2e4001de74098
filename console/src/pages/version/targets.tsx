// The targets of an upstream, and how each does.

import type { TargetDocument, UpstreamDocument } from "../../api/documents";
import { count, milliseconds } from "../../format";
import { t } from "../../i18n";
import { Section } from "../../parts/facts";
import { Figure } from "../../parts/figure";
import { Notice } from "../../parts/notice";
import { Badge } from "../../parts/status";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";

export function Targets({ upstream }: { upstream: UpstreamDocument }) {
  const texts = t().version;
  const { healthy, targets, unresolved = [] } = upstream;
  return (
    <Section title={texts.targets}>
      <p>{texts.healthyOf(count(healthy), count(targets.length))}</p>
      {unresolved.map(({ name, reason }) => (
        <Notice key={name} kind="warning">
          {texts.unresolved(name, reason)}
        </Notice>
      ))}
      <Table
        label={texts.targets}
        rows={targets}
        id={({ address, name }) => `${name} ${address}`}
        columns={[
          {
            key: "address",
            label: texts.target,
            isHead: true,
            cell: ({ address, name }) => (
              <>
                <code>{address}</code>
                {name !== undefined && <div class="quiet small">{name}</div>}
              </>
            ),
          },
          { key: "health", label: texts.health, cell: (target) => <TargetHealth target={target} /> },
          { key: "since", label: texts.since, cell: ({ since }) => <Time at={since} /> },
          { key: "weight", label: texts.weight, isNumber: true, cell: ({ weight }) => count(weight) },
          { key: "requests", label: texts.requests, isNumber: true, cell: ({ requests }) => count(requests) },
          { key: "errors", label: texts.failures, isNumber: true, cell: ({ errors }) => count(errors) },
          {
            key: "latency",
            label: texts.latency,
            isNumber: true,
            cell: ({ latency_ms: value }) => <Figure value={value} show={milliseconds} />,
          },
          {
            key: "connections",
            label: texts.connections,
            cell: ({ connections: { open, idle } }) => texts.openIdle(count(open), count(idle)),
          },
          { key: "in-flight", label: texts.inFlight, isNumber: true, cell: ({ in_flight: value }) => count(value) },
        ]}
      />
    </Section>
  );
}

function TargetHealth({ target: { health, reason } }: { target: TargetDocument }) {
  const word = t().version.healths[health] ?? health;
  const badge =
    health === "healthy" ? (
      <Badge tone="good" icon="check">
        {word}
      </Badge>
    ) : health === "unchecked" ? (
      <Badge tone="idle" icon="dot">
        {word}
      </Badge>
    ) : (
      <Badge tone="bad" icon="attention">
        {word}
      </Badge>
    );
  return (
    <div class="health">
      {badge}
      {reason !== undefined && <p class="health-reason">{reason}</p>}
    </div>
  );
}
