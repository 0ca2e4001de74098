// What the process has read, what is wrong with it, and what a restart would change.

import { api } from "../api/client";
import type { Description } from "../api/config";
import type { ReloadDocument, StatusDocument } from "../api/documents";
import { count } from "../format";
import { t } from "../i18n";
import { CodeBlock } from "../parts/code";
import { Facts, Section } from "../parts/facts";
import { Failure, Loading, Notice } from "../parts/notice";
import { Time } from "../parts/time";
import { useResource } from "../resource";
import { Files } from "./configuration/files";
import { Restart } from "./configuration/restart";
import { Settings } from "./version/configuration";

export function Configuration() {
  const texts = t().configuration;
  const status = useResource("configuration: status", (signal) => api.status({}, signal), {});
  const config = useResource("configuration: description", (signal) => api.config({}, signal), {});
  // What the process says of itself is small, and changes without an announcement: descriptors, a reload that changed
  // nothing that is served.
  const process = useResource("configuration: process", (signal) => api.status({ services: false }, signal), {
    every: 2_000,
  });
  const known = status.document.value;
  const now = process.document.value;
  const document = known === undefined ? undefined : { ...known, ...ofProcess(now ?? known) };
  const description = config.document.value;
  const failure = status.failure.value ?? config.failure.value;
  const isThere = document !== undefined && description !== undefined;
  return (
    <>
      <h1>{texts.title}</h1>
      {!isThere && failure === undefined && <Loading />}
      {!isThere && failure !== undefined && <Failure failure={failure} />}
      {isThere && <Known status={document} description={description} />}
    </>
  );
}

function ofProcess({ generation, ready, draining, descriptors, troubles, last_reload }: StatusDocument) {
  return { generation, ready, draining, descriptors, troubles, last_reload };
}

function Known({ status, description }: { status: StatusDocument; description: Description }) {
  const texts = t().configuration;
  const settings = Object.entries(description.settings).map(([key, { text }]) => ({ key, value: text }));
  return (
    <>
      {status.troubles?.map((trouble) => (
        <Notice key={trouble} kind="error" title={texts.trouble}>
          {trouble}
        </Notice>
      ))}
      <Process status={status} />
      <Reload reload={status.last_reload} isToldBelow={(status.rejected ?? []).length > 0} />
      <Restart status={status} started={description.started_with} />
      <Files status={status} />
      <Section title={texts.settings}>
        <Settings label={texts.settings} settings={settings} />
      </Section>
    </>
  );
}

function Process({ status }: { status: StatusDocument }) {
  const texts = t().configuration;
  const { descriptors } = status;
  return (
    <Section title={texts.process}>
      {status.draining === true && <Notice kind="warning">{texts.draining}</Notice>}
      <Facts
        facts={[
          { name: texts.main, value: <code>{status.config}</code> },
          { name: texts.generation, value: count(status.generation) },
          { name: texts.ready, value: status.ready ? texts.yes : texts.no },
          descriptors?.open === undefined
            ? undefined
            : {
                name: texts.descriptors,
                value: texts.ofLimit(count(descriptors.open), count(descriptors.limit)),
              },
          descriptors && {
            name: texts.connections,
            value: texts.ofLimit(count(descriptors.connections), count(descriptors.connections_max)),
          },
        ]}
      />
    </Section>
  );
}

/** Reports of services' files stand below, each with its file. */
function Reload({ reload, isToldBelow }: { reload: ReloadDocument | undefined; isToldBelow: boolean }) {
  const texts = t().configuration;
  return (
    <Section title={texts.reload}>
      {reload === undefined ? (
        <p class="quiet">{texts.never}</p>
      ) : (
        <>
          <Facts
            facts={[
              { name: texts.when, value: <Time at={reload.at} /> },
              { name: texts.outcome, value: texts.outcomes[reload.outcome] ?? reload.outcome },
              { name: texts.generation, value: count(reload.generation) },
              { name: texts.filesRead, value: count(reload.files_read) },
            ]}
          />
          {reload.report !== undefined && !isToldBelow && <CodeBlock text={reload.report} label={texts.report} />}
        </>
      )}
    </Section>
  );
}
