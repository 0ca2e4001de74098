// What a process that starts now would do otherwise.

import type { Settings } from "../../api/config";
import type { Share, StatusDocument } from "../../api/documents";
import { percent } from "../../format";
import { t } from "../../i18n";
import { Section } from "../../parts/facts";
import { Table } from "../../parts/table";
import { link } from "../../router";

export function Restart({ status, started }: { status: StatusDocument; started: Settings }) {
  const texts = t().configuration;
  const keys = status.last_reload?.restart_needed_for ?? [];
  const services = status.environments.flatMap(({ name: environment, services }) =>
    services.flatMap(({ name, versions, after_restart: after }) =>
      after === undefined
        ? []
        : [{ environment, name, now: versions.map(({ name, share }) => ({ version: name, share })), after }],
    ),
  );
  return (
    <Section title={texts.restart}>
      {keys.length === 0 && services.length === 0 && <p class="quiet">{texts.restartNothing}</p>}
      {keys.length > 0 && (
        <>
          <p>{texts.restartKeys}</p>
          <Table
            label={texts.restartKeys}
            rows={keys}
            id={(key) => key}
            columns={[
              { key: "key", label: texts.key, isHead: true, cell: (key) => <code>{key}</code> },
              { key: "value", label: texts.atStart, cell: (key) => <code>{started[key]?.text ?? "–"}</code> },
            ]}
          />
        </>
      )}
      {services.length > 0 && (
        <>
          <p>{texts.restartServices}</p>
          <Table
            label={texts.restartServices}
            rows={services}
            id={({ environment, name }) => `${environment}/${name}`}
            columns={[
              {
                key: "service",
                label: texts.service,
                isHead: true,
                cell: ({ environment, name }) => (
                  <a href={link({ page: "service", environment, service: name })}>{`${environment}/${name}`}</a>
                ),
              },
              { key: "now", label: texts.now, cell: ({ now }) => said(now) },
              { key: "after", label: texts.afterRestart, cell: ({ after }) => said(after) },
            ]}
          />
        </>
      )}
    </Section>
  );
}

function said(shares: readonly Share[]): string {
  const some = shares.filter(({ share }) => share > 0);
  if (some.length === 0) return t().configuration.nothing;
  return some.map(({ version, share }) => `${version} ${percent(share)}`).join(", ");
}
