// The services' files: those that are wrong first, each with its report.

import { useState } from "preact/hooks";

import type { RejectionDocument, StatusDocument } from "../../api/documents";
import { count } from "../../format";
import { t } from "../../i18n";
import { Button } from "../../parts/button";
import { CodeBlock } from "../../parts/code";
import { TextField } from "../../parts/field";
import { Section } from "../../parts/facts";
import { Empty, Notice } from "../../parts/notice";
import { Badge } from "../../parts/status";
import { Table } from "../../parts/table";
import { link } from "../../router";

/** Rows that are shown before somebody asks for all. */
const PAGE = 50;

export function Files({ status }: { status: StatusDocument }) {
  const texts = t().configuration;
  const { rejected = [], warnings = [] } = status;
  return (
    <Section title={texts.files}>
      {rejected.map((rejection) => (
        <Rejected key={rejection.file} rejection={rejection} />
      ))}
      {warnings.map(({ file, line, message, help }) => (
        <Notice key={`${file} ${message}`} kind="warning" title={texts.warnings}>
          <p>{message}</p>
          {help !== undefined && <p>{t().shell.help(help)}</p>}
          <p class="quiet">
            <code>{line === undefined ? file : `${file}:${line}`}</code>
          </p>
        </Notice>
      ))}
      <List status={status} rejected={rejected} />
    </Section>
  );
}

function Rejected({ rejection }: { rejection: RejectionDocument }) {
  const texts = t().configuration;
  const { file, environment, serves, report } = rejection;
  return (
    <Notice kind="error" title={<code>{file}</code>}>
      <p>{serves === undefined ? texts.wrongNew : texts.wrong}</p>
      {serves !== undefined && (
        <p>
          <a href={link({ page: "service", environment, service: serves })}>{`${environment}/${serves}`}</a>
        </p>
      )}
      <CodeBlock text={report} label={`${texts.report}: ${file}`} />
    </Notice>
  );
}

function List({ status, rejected }: { status: StatusDocument; rejected: readonly RejectionDocument[] }) {
  const texts = t().configuration;
  const [text, setText] = useState("");
  const [isAll, setAll] = useState(false);
  const wrong = new Set(rejected.map(({ file }) => file));
  const files = status.environments.flatMap(({ name: environment, services }) =>
    services.map(({ name, file }) => ({ environment, name, file, isWrong: wrong.has(file) })),
  );
  const matching = files.filter(({ file, name }) => `${file} ${name}`.includes(text.trim()));
  const shown = isAll ? matching : matching.slice(0, PAGE);
  if (files.length === 0) {
    return (
      <Empty title={texts.empty}>
        <p>{texts.emptyHelp}</p>
        <CodeBlock text={t().services.emptyCommand} label={texts.empty} />
      </Empty>
    );
  }
  return (
    <>
      {files.length > PAGE && (
        <div class="filters" role="search" aria-label={texts.search}>
          <TextField label={texts.search} type="search" value={text} onInput={setText} />
          <p class="filters-count" role="status">
            {texts.counted(count(shown.length), count(files.length))}
          </p>
        </div>
      )}
      <Table
        label={texts.files}
        rows={shown}
        id={({ file, name }) => `${file} ${name}`}
        columns={[
          { key: "file", label: texts.file, isHead: true, cell: ({ file }) => <code>{file}</code> },
          {
            key: "service",
            label: texts.service,
            cell: ({ environment, name }) => (
              <a href={link({ page: "service", environment, service: name })}>{`${environment}/${name}`}</a>
            ),
          },
          {
            key: "report",
            label: texts.report,
            cell: ({ isWrong }) =>
              isWrong ? (
                <Badge tone="bad" icon="cross">
                  {texts.wrong}
                </Badge>
              ) : (
                <Badge tone="good" icon="check">
                  {texts.right}
                </Badge>
              ),
          },
        ]}
      />
      {shown.length < matching.length && (
        <div class="buttons">
          <Button onClick={() => setAll(true)}>{texts.showAll}</Button>
        </div>
      )}
    </>
  );
}
