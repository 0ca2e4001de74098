// The versions of a service: status, share declared and observed, how they do, and what can be done with each.

import { useMemo } from "preact/hooks";

import type { Open } from "../../actions/others";
import type { ServiceDocument, VersionDocument } from "../../api/documents";
import type { SeriesDocument } from "../../api/history";
import { count, milliseconds, percent, rate, ratio } from "../../format";
import { t } from "../../i18n";
import { ChangeButton, Outward } from "../../parts/button";
import { Figure } from "../../parts/figure";
import { Sparkline } from "../../parts/sparkline";
import { StatusBadge } from "../../parts/status";
import { TONES } from "../../parts/share-bar";
import { type Column, Table } from "../../parts/table";
import { type Policy, previewOf } from "../../policy";
import { link } from "../../router";
import { Observed } from "./observed";
import { failuresOf } from "../../series";
import { lineOf } from "./recent";

export function Versions({
  environment,
  service,
  policy,
  series,
  onOpen,
}: {
  environment: string;
  service: ServiceDocument;
  series: SeriesDocument | undefined;
  policy: Policy | undefined;
  onOpen: (open: Open) => void;
}) {
  const texts = t().service;
  const { columns: names } = texts;
  const toneOf = (version: VersionDocument) => `tone-${service.versions.indexOf(version) % TONES}`;
  const columns: Column<VersionDocument>[] = [
    {
      key: "version",
      label: names.version,
      isHead: true,
      cell: (version) => (
        <Name environment={environment} service={service} version={version} tone={toneOf(version)} policy={policy} />
      ),
    },
    { key: "status", label: names.status, cell: (version) => <Status version={version} /> },
    { key: "share", label: names.share, isNumber: true, cell: (version) => <Share version={version} /> },
    {
      key: "observed",
      label: names.observed,
      isNumber: true,
      title: texts.observedTitle,
      cell: ({ observed }) => <Observed observed={observed} />,
    },
    {
      key: "rate",
      label: names.rate,
      isNumber: true,
      cell: (version) => (
        <div class="with-spark">
          <span>
            <Figure value={version.requests_per_second} show={(value) => t().units.rate(rate(value))} isEarly />
          </span>
          <Line
            series={series}
            version={version}
            of="rate"
            tone={toneOf(version)}
            label={texts.sparkRate(version.name)}
          />
        </div>
      ),
    },
    {
      key: "errors",
      label: names.errors,
      isNumber: true,
      cell: ({ name, error_ratio: value }) => (
        <div class="stack">
          <Figure value={value} show={ratio} />
          <Codes failures={failuresOf(series, name)} />
        </div>
      ),
    },
    {
      key: "p99",
      label: names.p99,
      isNumber: true,
      cell: (version) => (
        <div class="with-spark">
          <span>
            <Figure value={version.p99_ms} show={milliseconds} />
          </span>
          <Line
            series={series}
            version={version}
            of="p99"
            tone={toneOf(version)}
            label={texts.sparkP99(version.name)}
          />
        </div>
      ),
    },
    { key: "in-flight", label: names.inFlight, isNumber: true, cell: ({ in_flight: value }) => count(value) },
    {
      key: "actions",
      label: names.actions,
      isLabelHidden: true,
      cell: (version) => <Actions version={version} service={service} onOpen={onOpen} />,
    },
  ];
  return (
    <section class="section">
      <h2>{texts.versions}</h2>
      <Table label={texts.versions} columns={columns} rows={service.versions} id={({ name }) => name} />
    </section>
  );
}

function Name({
  environment,
  service,
  version,
  tone,
  policy,
}: {
  environment: string;
  service: ServiceDocument;
  version: VersionDocument;
  tone: string;
  policy: Policy | undefined;
}) {
  const { name, remark } = version;
  const preview = policy?.override.previewDomains === true ? previewOf(service.url, name) : undefined;
  return (
    <div class="service-name">
      <span>
        <span class={`swatch ${tone}`} aria-hidden="true" />
        <a href={link({ page: "version", environment, service: service.name, version: name })}>
          <b>{name}</b>
        </a>
      </span>
      {remark !== undefined && <span class="quiet small">{remark}</span>}
      {preview !== undefined && version.status === "normal" && (
        <span class="small" title={t().service.previewOf(name)}>
          <Outward url={preview}>
            {t().service.preview}
            <span class="said"> {name}</span>
          </Outward>
        </span>
      )}
    </div>
  );
}

function Status({ version }: { version: VersionDocument }) {
  const texts = t().service;
  const { error, predecessor_serves, quarantined, unhealthy, reach, upstream } = version;
  return (
    <div class="health">
      <StatusBadge version={version} />
      {error !== undefined && (
        <div class="health-reason">
          <p>{error.detail}</p>
          <p>{t().shell.help(error.suggestion)}</p>
        </div>
      )}
      {predecessor_serves === true && <p class="health-reason">{texts.statusHelp.predecessor}</p>}
      {quarantined === true && <p class="health-reason">{texts.statusHelp.quarantined}</p>}
      {unhealthy === true && <p class="health-reason">{texts.statusHelp.unhealthy}</p>}
      {upstream !== undefined && (
        <p class="health-reason">{texts.targets(count(upstream.healthy), count(upstream.targets.length))}</p>
      )}
      {reach !== undefined && <p class="health-reason">{texts.reach[reach]}</p>}
    </div>
  );
}

function Share({ version }: { version: VersionDocument }) {
  const { share, declared_share: declared } = version;
  return (
    <div class="stack">
      <b class="share-number">{percent(share)}</b>
      {share !== declared && <span class="small declared">{t().service.declared(percent(declared))}</span>}
    </div>
  );
}

/** Codes that a cell has room for. */
const CODES = 3;

/** By which codes a version failed in the last hour. */
function Codes({ failures }: { failures: readonly [string, number][] }) {
  if (failures.length === 0) return null;
  const said = failures.map(([code, times]) => `${code} ${count(times)}`);
  return (
    <span class="small codes" title={`${t().service.codesTitle}: ${said.join(", ")}`}>
      {said.slice(0, CODES).map((text) => (
        <span key={text}>{text}</span>
      ))}
      <span class="said"> ({t().service.codesTitle})</span>
    </span>
  );
}

function Line({
  series,
  version,
  of,
  tone,
  label,
}: {
  series: SeriesDocument | undefined;
  version: VersionDocument;
  of: "rate" | "p99";
  tone: string;
  label: string;
}) {
  const line = useMemo(() => lineOf(series, version.name, of), [series, version.name, of]);
  return line === undefined ? null : <Sparkline {...line} tone={tone} label={label} />;
}

function Actions({
  version,
  service,
  onOpen,
}: {
  version: VersionDocument;
  service: ServiceDocument;
  onOpen: (open: Open) => void;
}) {
  const texts = t().service;
  const { name, share, declared_share, status, quarantined } = version;
  const blocked = status !== "normal" ? texts.notNormal : share === 100 && !service.latest ? texts.hasAll : undefined;
  const hasTraffic = share > 0 || declared_share > 0;
  return (
    <div class="row-actions">
      {quarantined === true && (
        <ChangeButton
          kind="quiet"
          label={texts.releaseOf(name)}
          onClick={() => onOpen({ dialog: "release", version: name })}
        >
          {texts.release}
        </ChangeButton>
      )}
      <ChangeButton
        kind="quiet"
        icon="up"
        blocked={blocked}
        label={texts.promoteOf(name)}
        onClick={() => onOpen({ dialog: "promote", version: name })}
      >
        {texts.promote}
      </ChangeButton>
      <ChangeButton
        kind="quiet"
        icon="trash"
        blocked={hasTraffic ? texts.hasTraffic : undefined}
        label={texts.removeOf(name)}
        onClick={() => onOpen({ dialog: "remove", version: name })}
      >
        {texts.remove}
      </ChangeButton>
    </div>
  );
}
