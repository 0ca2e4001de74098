// What every change has in common: a form, what it would do, and doing it. Nothing is done before somebody has seen
// shares before and after, and everything is done by the file that they have seen: `expect` is its digest.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

import { api } from "../api/client";
import type { Change, ChangeOutcome, Preview } from "../api/change";
import type { ServiceDocument } from "../api/documents";
import { Refused, Unreachable } from "../api/problem";
import { count } from "../format";
import { t } from "../i18n";
import { Button, ChangeButton } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { Checkbox, TextField } from "../parts/field";
import { toast } from "../parts/toasts";
import { Review } from "./review";
import { changesNothing, changesText, type Target } from "./target";
import { isByHand, Trouble } from "./trouble";

/** Refusals that force overcomes. */
const FORCEABLE = ["version-quarantined", "version-unhealthy"];

function say({ service, generation, shares, warnings = [], differs = [] }: ChangeOutcome): void {
  const texts = t().actions;
  const title = generation === null ? texts.nothing : texts.done(service, count(generation));
  toast("good", title, changesText(shares));
  for (const warning of warnings) toast("warning", t().service.warning, warning);
  if (differs.length > 0) toast("warning", texts.differs, differs.join("\n"));
}

export interface ChangeDialogProps {
  title: string;
  target: Target;
  /** The digest of the file by which somebody decides. */
  expect: string | undefined;
  /** None while the form is not complete. */
  change: Change | undefined;
  /** Why the form cannot be finished. */
  blocked?: string | undefined;
  /** The form; where there is none, the preview comes at once. */
  children?: ComponentChildren;
  /** Said above the preview. */
  intro?: string;
  confirm: string;
  /** Whether quarantined versions are concerned: only by force they get traffic. */
  canForce?: boolean;
  /** Counts how often somebody has said by Enter that the form is complete. */
  ready?: number;
  /** Begins again with the service as it is now. */
  onRestart: (now: ServiceDocument) => void;
  onClose: () => void;
}

export function ChangeDialog(props: ChangeDialogProps) {
  const { title, target, expect, change, blocked, children, confirm, canForce, ready = 0, onRestart, onClose } = props;
  const hasForm = children !== undefined;
  const [preview, setPreview] = useState<Preview>();
  const [failure, setFailure] = useState<Refused | Unreachable>();
  const [isBusy, setBusy] = useState(false);
  const [remark, setRemark] = useState("");
  const [force, setForce] = useState(false);
  const { environment, service } = target;
  const options = { ...(expect === undefined ? {} : { expect }), ...(force ? { force } : {}) };

  const attempt = async (what: () => Promise<void>) => {
    setBusy(true);
    setFailure(undefined);
    try {
      await what();
    } catch (error) {
      setFailure(error instanceof Refused ? error : new Unreachable(String(error)));
    } finally {
      setBusy(false);
    }
  };
  const look = () =>
    attempt(async () => {
      if (change !== undefined) setPreview(await api.preview(environment, service.name, change, options));
    });
  const act = () =>
    attempt(async () => {
      if (change === undefined) return;
      const written = remark.trim();
      const all = { ...options, ...(written === "" ? {} : { remark: written }) };
      const outcome = await api.change(environment, service.name, change, all);
      target.apply(outcome);
      say(outcome);
      onClose();
      await target.refresh();
    });
  const back = () => {
    setPreview(undefined);
    setFailure(undefined);
  };
  useEffect(() => {
    if (!hasForm) void look();
  }, [hasForm, expect, force]);
  useEffect(() => {
    if (ready > 0 && blocked === undefined && !isBusy) void look();
  }, [ready]);
  const texts = t().actions;
  const isMoved =
    expect !== undefined && service.file_digest !== undefined && service.file_digest !== expect && !isBusy;
  const restart = (now: ServiceDocument) => {
    back();
    onRestart(now);
  };
  const isForm = hasForm && preview === undefined;
  const isLeftToHand = isByHand(failure);
  return (
    <Dialog
      title={title}
      wide
      isBusy={isBusy}
      onClose={onClose}
      footer={
        <>
          {hasForm && preview !== undefined ? (
            <Button key="back" onClick={back}>
              {t().shell.back}
            </Button>
          ) : (
            <Button key="cancel" onClick={onClose}>
              {t().shell.cancel}
            </Button>
          )}
          {isForm ? (
            <ChangeButton key="look" kind="primary" busy={isBusy} blocked={blocked} onClick={() => void look()}>
              {texts.review}
            </ChangeButton>
          ) : isLeftToHand ? null : (
            <ChangeButton
              key="act"
              kind={isDanger(change, preview) ? "danger" : "primary"}
              busy={isBusy}
              blocked={whyNot(preview, isMoved)}
              onClick={() => void act()}
            >
              {confirm}
            </ChangeButton>
          )}
        </>
      }
    >
      {props.intro !== undefined && <p>{props.intro}</p>}
      <Trouble failure={failure} isMoved={isMoved} target={target} onRestart={restart} />
      {isForm && children}
      {canForce && (force || (failure instanceof Refused && FORCEABLE.includes(failure.problem.code))) && (
        <Checkbox label={texts.force} help={texts.forceHelp} checked={force} onChange={setForce} />
      )}
      {preview !== undefined && !isLeftToHand && (
        <>
          <Review preview={preview} order={service.versions.map(({ name }) => name)} />
          <TextField label={texts.remark} help={texts.remarkHelp} value={remark} onInput={setRemark} />
        </>
      )}
    </Dialog>
  );
}

/** Whether somebody gets less than before, or something is gone. The end of a quarantine takes nothing from anybody. */
function isDanger(change: Change | undefined, preview: Preview | undefined): boolean {
  return change?.action !== "release" && preview?.takes_away === true;
}

/** Why what is shown cannot be done. */
function whyNot(preview: Preview | undefined, isMoved: boolean): string | undefined {
  if (isMoved) return t().actions.conflict;
  if (preview === undefined) return t().actions.noPreview;
  return changesNothing(preview) ? t().actions.nothing : undefined;
}
