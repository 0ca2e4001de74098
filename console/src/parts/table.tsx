// A table that is a list of cards on a phone. The roles are said, because a browser forgets them with `display: block`.

import type { ComponentChildren } from "preact";

export interface Column<Row> {
  key: string;
  label: string;
  cell: (row: Row) => ComponentChildren;
  /** Numbers stand at the end, under each other. */
  isNumber?: boolean;
  /** Names its row. */
  isHead?: boolean;
  /** Of the column, for people who point at it. */
  title?: string;
  /** Whether the label is only for readers of the page aloud. */
  isLabelHidden?: boolean;
}

export function Table<Row>({
  label,
  columns,
  rows,
  id,
}: {
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  id: (row: Row) => string;
}) {
  return (
    <div class="table-place">
      <table class="table" role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(({ key, label, isNumber, title, isLabelHidden }) => (
              <th key={key} role="columnheader" scope="col" class={isNumber ? "number" : undefined} title={title}>
                {isLabelHidden ? <span class="said">{label}</span> : label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr key={id(row)} role="row">
              {columns.map((column) => (
                <Cell key={column.key} column={column} row={row} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell<Row>({ column, row }: { column: Column<Row>; row: Row }) {
  const content = column.cell(row);
  const style = column.isNumber ? "number" : undefined;
  const label = column.isLabelHidden ? "" : column.label;
  if (column.isHead) {
    return (
      <th role="rowheader" scope="row" class={style} data-label={label}>
        {content}
      </th>
    );
  }
  return (
    <td role="cell" class={style} data-label={label}>
      <div class="cell">{content}</div>
    </td>
  );
}
