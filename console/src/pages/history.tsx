// What was served of a service, when, and by whom it was changed; and the way back to it.

import { useState } from "preact/hooks";

import { Dialogs } from "../actions/dialogs";
import type { Open } from "../actions/others";
import { api } from "../api/client";
import { type ServiceDocument, serviceIn } from "../api/documents";
import { t } from "../i18n";
import { Button } from "../parts/button";
import { Empty, Failure, Loading } from "../parts/notice";
import { about, useResource } from "../resource";
import { Heading } from "./service/heading";
import { Records } from "./service/records";

const PAGE = 50;
const MOST = 1_000;

export function History({ environment, service }: { environment: string; service: string }) {
  const texts = t().history;
  const concerns = about(environment, service);
  const [limit, setLimit] = useState(PAGE);
  const [open, setOpen] = useState<Open>();
  const history = useResource(
    `history of ${environment}/${service} ${limit}`,
    (signal) => api.history({ environment, service, limit }, signal),
    { concerns },
  );
  const status = useResource(
    `now of ${environment}/${service}`,
    (signal) => api.status({ environment, service }, signal),
    { concerns },
  );
  const records = history.document.value?.records;
  const failure = history.failure.value;
  const document = serviceIn(status.document.value, environment, service);
  const refresh = async (before: ServiceDocument) => {
    await Promise.all([history.refresh(), status.refresh()]);
    return serviceIn(status.document.value, environment, service) ?? before;
  };
  return (
    <>
      <Heading environment={environment} service={service} title={texts.title(service)} />
      <p class="quiet">{texts.about}</p>
      {records === undefined && failure === undefined && <Loading />}
      {records === undefined && failure !== undefined && <Failure failure={failure} />}
      {records?.length === 0 && (
        <Empty title={texts.empty}>
          <p>{texts.emptyHelp}</p>
        </Empty>
      )}
      {records !== undefined && records.length > 0 && (
        <Records records={records} onRollback={(to) => setOpen({ dialog: "rollback", to })} />
      )}
      {records !== undefined && records.length >= limit && limit < MOST && (
        <div class="buttons">
          <Button onClick={() => setLimit(Math.min(limit * 4, MOST))}>{texts.more}</Button>
        </div>
      )}
      {document !== undefined && (
        <Dialogs
          open={open}
          target={{
            environment,
            service: document,
            policy: undefined,
            refresh: () => refresh(document),
            apply: () => undefined,
          }}
          records={records ?? []}
          onClose={() => setOpen(undefined)}
        />
      )}
    </>
  );
}
