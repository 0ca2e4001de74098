// The dialog that is open, if one is.

import type { HistoryRecord } from "../api/history";
import { OfflineDialog, type Open, PromoteDialog, ReleaseDialog, RemoveDialog, RollbackDialog } from "./others";
import type { Target } from "./target";
import { TrafficDialog } from "./traffic";

export function Dialogs({
  open,
  target,
  records,
  onClose,
}: {
  open: Open | undefined;
  target: Target;
  records: readonly HistoryRecord[];
  onClose: () => void;
}) {
  const shared = { target, onClose };
  switch (open?.dialog) {
    case "traffic":
      return <TrafficDialog {...shared} />;
    case "offline":
      return <OfflineDialog {...shared} />;
    case "promote":
      return <PromoteDialog {...shared} version={open.version} />;
    case "remove":
      return <RemoveDialog {...shared} version={open.version} />;
    case "release":
      return <ReleaseDialog {...shared} version={open.version} />;
    case "rollback":
      return <RollbackDialog {...shared} to={open.to} records={records} />;
    default:
      return null;
  }
}
