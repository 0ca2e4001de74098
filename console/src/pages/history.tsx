// What was served of a service, when, and by whom it was changed.

import { useState } from "preact/hooks";

import type { Share } from "../api/documents";
import { api } from "../api/client";
import type { Author, HistoryRecord } from "../api/history";
import { count, percent } from "../format";
import { t } from "../i18n";
import { Button } from "../parts/button";
import { Empty, Failure, Loading } from "../parts/notice";
import { type Column, Table } from "../parts/table";
import { Time } from "../parts/time";
import { Heading } from "../parts/trail";
import { about, useResource } from "../resource";

const PAGE = 50;
const MOST = 1_000;

export function History({ environment, service }: { environment: string; service: string }) {
  const texts = t().history;
  const [limit, setLimit] = useState(PAGE);
  const history = useResource(
    `history of ${environment}/${service} ${limit}`,
    (signal) => api.history({ environment, service, limit }, signal),
    { concerns: about(environment, service) },
  );
  const records = history.document.value?.records;
  const failure = history.failure.value;
  return (
    <>
      <Heading environment={environment} service={service} title={texts.title(service)} />
      <p class="quiet">{texts.about}</p>
      {records === undefined && failure === undefined && <Loading />}
      {records === undefined && failure !== undefined && <Failure failure={failure} />}
      {records?.length === 0 && <Empty title={texts.empty}><p>{texts.emptyHelp}</p></Empty>}
      {records !== undefined && records.length > 0 && <Records records={records} />}
      {records !== undefined && records.length >= limit && limit < MOST && (
        <div class="buttons">
          <Button onClick={() => setLimit(Math.min(limit * 4, MOST))}>{texts.more}</Button>
        </div>
      )}
    </>
  );
}

function Records({ records }: { records: readonly HistoryRecord[] }) {
  const texts = t().history;
  const newest = records[0]?.generation;
  const columns: Column<HistoryRecord>[] = [
    { key: "generation", label: texts.generation, isHead: true, cell: ({ generation }) => (
      <>{count(generation)}{generation === newest && <span class="quiet small"> {texts.served}</span>}</>
    ) },
    { key: "when", label: texts.when, cell: ({ at }) => <Time at={at} /> },
    { key: "traffic", label: texts.traffic, cell: ({ before, after }) => <Moved before={before} after={after} /> },
    { key: "who", label: texts.who, cell: ({ author }) => authorOf(author) },
    { key: "note", label: texts.note, cell: (record) => <Note record={record} /> },
  ];
  return <Table label={texts.generation} columns={columns} rows={records} id={({ generation }) => String(generation)} />;
}

/** Who caused a change, in words. */
export function authorOf(author: Author): string {
  const texts = t().history;
  switch (author.kind) {
    case "start":
      return texts.start;
    case "file-edit":
      return texts.edit;
    case "command":
      return texts.command(author.user, author.command);
  }
}

function Moved({ before, after }: { before: readonly Share[]; after: readonly Share[] }) {
  const texts = t().history;
  const said = (shares: readonly Share[]) =>
    shares.length === 0 ? texts.nothing : shares.map(({ version, share }) => `${version} ${percent(share)}`).join(", ");
  if (said(before) === said(after)) return <>{said(after)}</>;
  return <>{said(before)} → <b>{said(after)}</b></>;
}

function Note({ record }: { record: HistoryRecord }) {
  const texts = t().history;
  const { remark, restores, outcome, versions } = record;
  const failed = versions.filter(({ status }) => status === "error");
  return (
    <div class="notes">
      {remark !== undefined && <p>{remark}</p>}
      {restores !== undefined && <p>{texts.restores(count(restores))}</p>}
      {outcome.kind === "held" && <p>{texts.held(outcome.why)}</p>}
      {versions.length === 0 && <p>{texts.removed}</p>}
      {failed.map(({ name }) => <p key={name}>{texts.failed(name)}</p>)}
    </div>
  );
}
