// Changes that need no form, or a short one: full upgrade, offline, delete, lifting a quarantine, rolling back.

import { useState } from "preact/hooks";

import type { Change } from "../api/change";
import type { HistoryRecord } from "../api/history";
import { count } from "../format";
import { t } from "../i18n";
import { Checkbox, Select } from "../parts/field";
import { ChangeDialog } from "./change-dialog";
import { sharesText, type Target } from "./target";

interface Props {
  target: Target;
  onClose: () => void;
}

/** Which dialog is open. */
export type Open =
  | { dialog: "traffic" | "offline" }
  | { dialog: "promote" | "remove" | "release"; version: string }
  | { dialog: "rollback"; to?: number };

export function OfflineDialog(props: Props) {
  const texts = t().actions.offline;
  const change: Change = { action: "traffic", body: { offline: true } };
  return (
    <Simple
      {...props}
      title={texts.title(props.target.service.name)}
      intro={texts.intro}
      confirm={texts.confirm}
      change={change}
    />
  );
}

export function PromoteDialog({ version, ...props }: Props & { version: string }) {
  const texts = t().actions.promote;
  const change: Change = { action: "promote", body: { version } };
  return (
    <Simple
      {...props}
      title={texts.title(version)}
      intro={texts.intro(version)}
      confirm={texts.confirm}
      change={change}
      canForce
    />
  );
}

export function RemoveDialog({ version, ...props }: Props & { version: string }) {
  const texts = t().actions.remove;
  const change: Change = { action: "delete", body: { versions: [version] } };
  return (
    <Simple
      {...props}
      title={texts.title(version)}
      intro={texts.intro(version)}
      confirm={texts.confirm}
      change={change}
    />
  );
}

export function ReleaseDialog({ version, ...props }: Props & { version: string }) {
  const texts = t().actions.release;
  const change: Change = { action: "release", body: { version } };
  return (
    <Simple
      {...props}
      title={texts.title(version)}
      intro={texts.intro(version)}
      confirm={texts.confirm}
      change={change}
    />
  );
}

function Simple({
  target,
  change,
  ...props
}: Props & {
  title: string;
  intro: string;
  confirm: string;
  change: Change;
  canForce?: boolean;
}) {
  const [expect, setExpect] = useState(target.service.file_digest);
  return (
    <ChangeDialog
      {...props}
      target={target}
      expect={expect}
      change={change}
      onRestart={(now) => setExpect(now.file_digest)}
    />
  );
}

export function RollbackDialog({
  target,
  to,
  records,
  onClose,
}: Props & {
  to: number | undefined;
  records: readonly HistoryRecord[];
}) {
  const texts = t().actions.rollback;
  const [expect, setExpect] = useState(target.service.file_digest);
  const [chosen, setChosen] = useState(to === undefined ? "" : String(to));
  const [bad, setBad] = useState(false);
  const [trafficOnly, setTrafficOnly] = useState(false);
  const change: Change = {
    action: "rollback",
    body: {
      ...(chosen === "" ? {} : { to: Number(chosen) }),
      ...(bad ? { bad } : {}),
      ...(trafficOnly ? { traffic_only: true } : {}),
    },
  };
  const generations = records
    .filter(({ after }) => after.length > 0)
    .map(({ generation, after }) => ({
      value: String(generation),
      label: texts.generation(count(generation), sharesText(after)),
    }));
  return (
    <ChangeDialog
      title={texts.title(target.service.name)}
      target={target}
      expect={expect}
      change={change}
      confirm={texts.confirm}
      canForce
      onRestart={(now) => setExpect(now.file_digest)}
      onClose={onClose}
    >
      <Select
        label={texts.to}
        value={chosen}
        options={[{ value: "", label: texts.previous }, ...generations]}
        onChange={setChosen}
      />
      <Checkbox label={texts.bad} help={texts.badHelp} checked={bad} onChange={setBad} />
      <Checkbox
        label={texts.trafficOnly}
        help={texts.trafficOnlyHelp}
        checked={trafficOnly}
        onChange={setTrafficOnly}
      />
    </ChangeDialog>
  );
}
