// One version: what it is made of, what it may do, and how it does.

import { api } from "../api/client";
import type { ServiceDescription, VersionDescription } from "../api/config";
import { type ServiceDocument, type VersionDocument, serviceIn } from "../api/documents";
import { count, milliseconds, percent, ratio, rate } from "../format";
import { t } from "../i18n";
import { LinkButton, Outward } from "../parts/button";
import { CodeBlock } from "../parts/code";
import { Facts, Section } from "../parts/facts";
import { Figure } from "../parts/figure";
import { Failure, Loading, Notice } from "../parts/notice";
import { StatusBadge } from "../parts/status";
import { policyOf, previewOf } from "../policy";
import { about, useResource } from "../resource";
import { link } from "../router";
import { Heading } from "./service/heading";
import { Configuration } from "./version/configuration";
import { Failures } from "./version/failures-table";
import { Targets } from "./version/targets";

interface Place {
  environment: string;
  service: string;
  version: string;
}

export function Version({ environment, service, version }: Place) {
  const key = `${environment}/${service}`;
  const concerns = about(environment, service);
  const status = useResource(`version of ${key}`, (signal) => api.status({ environment, service }, signal), {
    every: 5_000,
    concerns,
  });
  const config = useResource(`configuration of ${key}`, (signal) => api.config({ environment, service }, signal), {
    concerns,
  });
  const document = serviceIn(status.document.value, environment, service);
  const described = serviceIn(config.document.value, environment, service);
  const found = document?.versions.find(({ name }) => name === version);
  const failure = status.failure.value ?? config.failure.value;
  return (
    <>
      <Heading environment={environment} service={service} title={t().version.title(version)}>
        {found !== undefined && <StatusBadge version={found} />}
      </Heading>
      {document === undefined && failure === undefined && <Loading />}
      {document === undefined && failure !== undefined && <Failure failure={failure} />}
      {document !== undefined && found === undefined && (
        <Gone environment={environment} service={service} version={version} />
      )}
      {document !== undefined && found !== undefined && (
        <Known place={{ environment, service, version }} service={document} version={found} described={described} />
      )}
    </>
  );
}

function Gone({ environment, service, version }: Place) {
  const texts = t().version;
  return (
    <Notice
      kind="warning"
      title={texts.gone(version)}
      actions={
        <LinkButton href={link({ page: "service", environment, service })}>{texts.toService(service)}</LinkButton>
      }
    >
      {texts.goneHelp}
    </Notice>
  );
}

function Known({
  place,
  service,
  version,
  described,
}: {
  place: Place;
  service: ServiceDocument;
  version: VersionDocument;
  described: ServiceDescription | undefined;
}) {
  const own = described?.versions.find(({ name }) => name === version.name);
  const isPreviewed =
    described !== undefined && policyOf(described).override.previewDomains && version.status === "normal";
  const preview = isPreviewed ? previewOf(service.url, version.name) : undefined;
  return (
    <>
      {version.remark !== undefined && <p>{version.remark}</p>}
      <Notices version={version} />
      <Traffic version={version} preview={preview} />
      {version.upstream !== undefined && <Targets upstream={version.upstream} />}
      <Failures {...place} />
      {own !== undefined && <Configuration version={own} file={service.file} digest={digestOf(version, own)} />}
      <Log place={place} />
    </>
  );
}

const digestOf = (version: VersionDocument, own: VersionDescription) => version.digest ?? own.digest;

function Notices({ version }: { version: VersionDocument }) {
  const texts = t().version;
  const { error, substitute } = version;
  return (
    <>
      {error !== undefined && (
        <Notice kind="error" title={texts.error(error.code)}>
          <p>{error.detail}</p>
          <p>{t().shell.help(error.suggestion)}</p>
          {error.may_pass === true && <p>{texts.mayPass}</p>}
        </Notice>
      )}
      {version.predecessor_serves === true && <Notice kind="info">{texts.predecessor}</Notice>}
      {version.quarantined === true && <Notice kind="warning">{texts.quarantined}</Notice>}
      {version.unhealthy === true && <Notice kind="error">{texts.unhealthy}</Notice>}
      {version.reach !== undefined && <Notice kind="info">{texts.reach[version.reach]}</Notice>}
      {substitute !== undefined && (
        <Notice kind="warning" title={texts.substitute(substitute.from)}>
          <p>
            {substitute.detail} <code>{substitute.code}</code>
          </p>
          <p>{substitute.outlives_process ? texts.substituteStays : texts.substituteGoes}</p>
        </Notice>
      )}
    </>
  );
}

function Traffic({ version, preview }: { version: VersionDocument; preview: string | undefined }) {
  const texts = t().version;
  const { share, declared_share: declared } = version;
  const minute = (name: string, value: number | undefined, show: (value: number) => string) => ({
    name,
    value: <Figure value={value} show={show} />,
    title: texts.lastMinute,
  });
  const visit =
    preview === undefined ? undefined : (
      <span title={texts.visitHelp(version.name)}>
        <Outward class="button button-plain" url={preview}>
          {texts.visit}
        </Outward>
      </span>
    );
  return (
    <Section title={texts.traffic} actions={visit}>
      <Facts
        facts={[
          {
            name: texts.share,
            value: (
              <>
                <b>{percent(share)}</b>
                {share !== declared && <span class="quiet"> ({texts.declared(percent(declared))})</span>}
              </>
            ),
          },
          minute(texts.rate, version.requests_per_second, (value) => t().units.rate(rate(value))),
          minute(texts.errors, version.error_ratio, ratio),
          minute(texts.p50, version.p50_ms, milliseconds),
          minute(texts.p99, version.p99_ms, milliseconds),
          { name: texts.inFlight, value: count(version.in_flight) },
        ]}
      />
    </Section>
  );
}

/** Names are DNS labels, so that none of them needs quotes in a shell. */
function Log({ place }: { place: Place }) {
  const texts = t().version;
  // Some lines have the names in quotation marks; `v1` is not `v10`.
  const pattern = `service="?${place.service}"? version="?${place.version}"?( |$)`;
  const command = `journalctl -u watershed -f | grep -E '${pattern}'`;
  return (
    <Section title={texts.logs}>
      <p>{texts.logsHelp}</p>
      <CodeBlock text={command} label={texts.logs} />
    </Section>
  );
}
