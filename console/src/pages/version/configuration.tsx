// What a version is made of, and what it may do.

import type { VersionDescription } from "../../api/config";
import { t } from "../../i18n";
import { CopyButton } from "../../parts/code";
import { Facts, Section } from "../../parts/facts";
import { Table } from "../../parts/table";
import { grouped, type Setting } from "./settings";

export function Configuration({
  version,
  file,
  digest,
}: {
  version: VersionDescription;
  file: string;
  digest: string | undefined;
}) {
  const texts = t().version;
  const groups = grouped(version.settings);
  const { component, upstream } = version;
  return (
    <Section title={texts.configuration}>
      <Facts
        facts={[
          component && { name: texts.component, value: <code>{component.text}</code> },
          upstream && { name: texts.upstream, value: <code>{upstream.text}</code> },
          digest === undefined
            ? undefined
            : {
                name: texts.digest,
                value: (
                  <span class="copied">
                    <code>{digest}</code> <CopyButton text={digest} label={texts.digest} />
                  </span>
                ),
              },
          { name: texts.file, value: <code>{file}</code> },
        ]}
      />
      {component !== undefined && (
        <>
          <h3>{texts.env}</h3>
          {groups.env.length === 0 ? (
            <p class="quiet">{texts.noEnv}</p>
          ) : (
            <>
              <p class="field-help">{texts.envHelp}</p>
              <Settings label={texts.env} settings={groups.env} />
            </>
          )}
          <h3>{texts.grants}</h3>
          {groups.grants.length === 0 ? (
            <p class="quiet">
              {texts.noGrants} <code>{texts.grantsAdd}</code>
            </p>
          ) : (
            <ul class="grants">
              {groups.grants.map(({ key }) => (
                <li key={key}>
                  <code>{key}</code>
                </li>
              ))}
            </ul>
          )}
        </>
      )}
      {groups.limits.length > 0 && (
        <>
          <h3>{texts.limits}</h3>
          <Settings label={texts.limits} settings={groups.limits} names={t().deploy.limit} />
        </>
      )}
      {groups.others.length > 0 && (
        <>
          <h3>{texts.others}</h3>
          <Settings label={texts.others} settings={groups.others} />
        </>
      )}
    </Section>
  );
}

/** Keys and values; a key with a name in words has both. */
export function Settings({
  label,
  settings,
  names = {},
}: {
  label: string;
  settings: readonly Setting[];
  names?: Record<string, string>;
}) {
  const texts = t().version;
  return (
    <div class="compact">
      <Table
        label={label}
        rows={settings}
        id={({ key }) => key}
        columns={[
          {
            key: "key",
            label: texts.key,
            isHead: true,
            cell: ({ key }) => (
              <>
                <code>{key}</code>
                {names[key] !== undefined && <span class="quiet small"> {names[key]}</span>}
              </>
            ),
          },
          { key: "value", label: texts.value, cell: ({ value }) => <code>{value}</code> },
        ]}
      />
    </div>
  );
}
