// Records of the history, each with the way back to it.

import { Fragment } from "preact";

import { sharesText } from "../../actions/target";
import type { Author, HistoryRecord } from "../../api/history";
import { count } from "../../format";
import { t } from "../../i18n";
import { ChangeButton } from "../../parts/button";
import { type Column, Table } from "../../parts/table";
import { Time } from "../../parts/time";

export function Records({
  records,
  onRollback,
}: {
  /** The newest first, from the one that is served on. */
  records: readonly HistoryRecord[];
  onRollback: (generation: number) => void;
}) {
  const texts = t().service;
  const { records: names } = texts;
  if (records.length === 0) return <p class="quiet">{texts.historyEmpty}</p>;
  const newest = records[0];
  const columns: Column<HistoryRecord>[] = [
    { key: "generation", label: names.generation, isHead: true, cell: ({ generation }) => count(generation) },
    { key: "when", label: names.when, cell: ({ at }) => <Time at={at} /> },
    { key: "traffic", label: names.traffic, cell: (record) => <Change record={record} /> },
    { key: "who", label: names.who, cell: ({ author }) => <Who author={author} /> },
    { key: "note", label: names.note, cell: (record) => <Note record={record} /> },
    {
      key: "action",
      label: names.action,
      isLabelHidden: true,
      cell: (record) =>
        record === newest ? (
          <span class="is-served quiet">{texts.isServed}</span>
        ) : record.after.length === 0 ? null : (
          <ChangeButton
            kind="quiet"
            icon="back"
            label={texts.toGeneration(count(record.generation))}
            onClick={() => onRollback(record.generation)}
          >
            {texts.toHere}
          </ChangeButton>
        ),
    },
  ];
  return (
    <Table label={texts.history} columns={columns} rows={records} id={({ generation, at }) => `${generation} ${at}`} />
  );
}

function Change({ record: { before, after } }: { record: HistoryRecord }) {
  const [was, is] = [sharesText(before), sharesText(after)];
  return (
    <div class="shares-line">
      {was === is ? (
        <>
          {is} <span class="quiet small">{t().service.unchanged}</span>
        </>
      ) : (
        <>
          {was} → <b>{is}</b>
        </>
      )}
    </div>
  );
}

function Who({ author }: { author: Author }) {
  const texts = t().service.author;
  if (author.kind === "start") return <span class="quiet">{texts.start}</span>;
  if (author.kind === "file-edit") return <span>{texts.file}</span>;
  return (
    <span>
      <b>{author.user}</b>{" "}
      <code class="small">
        {author.command.split(" ").map((word, place) => (
          <Fragment key={place}>
            {place > 0 && " "}
            <span class="unbroken">{word}</span>
          </Fragment>
        ))}
      </code>
    </span>
  );
}

function Note({ record: { remark, outcome, restores } }: { record: HistoryRecord }) {
  const texts = t().service;
  const notes = [
    ...(remark === undefined ? [] : [remark]),
    ...(restores === undefined ? [] : [texts.restores(count(restores))]),
    ...(outcome.kind === "held" ? [texts.outcomeHeld(outcome.why)] : []),
  ];
  return <span>{notes.join(" · ")}</span>;
}
