// The page of a service: who gets how much, how each version does, and everything that one does about it.

import { useState } from "preact/hooks";

import { Dialogs } from "../actions/dialogs";
import type { Open } from "../actions/others";
import { type Target, withShares } from "../actions/target";
import { api } from "../api/client";
import { type ServiceDocument, type StatusDocument, serviceIn } from "../api/documents";
import { Refused } from "../api/problem";
import { t } from "../i18n";
import { Button, LinkButton } from "../parts/button";
import { Empty, Failure, Loading } from "../parts/notice";
import { policyOf } from "../policy";
import { about, type Resource, useResource } from "../resource";
import { link } from "../router";
import { Decisions } from "./service/decisions";
import { Deployments } from "./service/deployments";
import { Head } from "./service/head";
import { Notices } from "./service/notices";
import { Plots } from "./service/plots";
import { useHour } from "./service/recent";
import { Records } from "./service/records";
import { Traffic } from "./service/traffic";
import { Versions } from "./service/versions";

interface Props {
  environment: string;
  service: string;
}

/** How many records the page shows; the page of the history has them all. */
const RECORDS = 10;

export function Service({ environment, service }: Props) {
  const key = `${environment}/${service}`;
  const concerns = about(environment, service);
  const query = { environment, service };
  const status = useResource(`status ${key}`, (signal) => api.status(query, signal), { every: 2_000, concerns });
  const document = status.document.value;
  const failure = status.failure.value;
  const found = serviceIn(document, environment, service);
  if (found !== undefined) return <Found {...query} document={found} status={status} />;
  if (failure instanceof Refused && failure.problem.status === 404) return <Gone service={service} failure={failure} />;
  if (failure !== undefined) {
    const again = <Button onClick={() => void status.refresh()}>{t().shell.tryAgain}</Button>;
    return <Failure failure={failure} actions={again} />;
  }
  return document === undefined ? <Loading /> : <Gone service={service} />;
}

function Found({
  environment,
  service,
  document,
  status,
}: Props & {
  document: ServiceDocument;
  status: Resource<StatusDocument>;
}) {
  const key = `${environment}/${service}`;
  const concerns = about(environment, service);
  const query = { environment, service };
  const config = useResource(`config ${key}`, (signal) => api.config(query, signal), { concerns });
  const history = useResource(`history ${key}`, (signal) => api.history({ ...query, limit: 50 }, signal), { concerns });
  const series = useHour(environment, service);
  const [open, setOpen] = useState<Open>();
  const described = serviceIn(config.document.value, environment, service);
  const policy = described === undefined ? undefined : policyOf(described);
  const records = history.document.value?.records ?? [];
  const target: Target = {
    environment,
    service: document,
    policy,
    refresh: async () => {
      await Promise.all([status.refresh(), history.refresh(), config.refresh()]);
      return serviceIn(status.document.value, environment, service) ?? document;
    },
    apply: ({ shares }) => status.amend((all) => amended(all, environment, withShares(document, shares))),
  };
  return (
    <>
      <Head environment={environment} service={document} onOpen={setOpen} />
      <Notices service={document} />
      <Deployments environment={environment} service={service} />
      <Traffic service={document} />
      <Versions environment={environment} service={document} policy={policy} series={series} onOpen={setOpen} />
      <Plots series={series} names={document.versions.map(({ name }) => name)} records={records} />
      {policy !== undefined && <Decisions {...query} policy={policy} latest={document.latest} />}
      <section class="section">
        <div class="section-head">
          <h2>{t().service.history}</h2>
          <a href={link({ page: "history", environment, service })}>{t().service.historyAll}</a>
        </div>
        {history.failure.value !== undefined && records.length === 0 && <Failure failure={history.failure.value} />}
        <Records records={records.slice(0, RECORDS)} onRollback={(to) => setOpen({ dialog: "rollback", to })} />
      </section>
      <Dialogs open={open} target={target} records={records} onClose={() => setOpen(undefined)} />
    </>
  );
}

function amended(all: StatusDocument, environment: string, service: ServiceDocument): StatusDocument {
  const environments = all.environments.map((one) =>
    one.name !== environment
      ? one
      : { ...one, services: one.services.map((other) => (other.name === service.name ? service : other)) },
  );
  return { ...all, environments };
}

function Gone({ service, failure }: { service: string; failure?: Refused }) {
  return (
    <Empty title={t().service.gone(service)} isPage>
      {failure !== undefined && <p>{failure.message}</p>}
      <LinkButton href={link({ page: "services" })} icon="left">
        {t().shell.toServices}
      </LinkButton>
    </Empty>
  );
}
