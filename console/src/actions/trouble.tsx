// Why a change was not made, and how one goes on from there.

import type { ServiceDocument } from "../api/documents";
import { type ProblemDocument, Refused, type Unreachable } from "../api/problem";
import { t } from "../i18n";
import { Button } from "../parts/button";
import { CodeBlock } from "../parts/code";
import { Failure, Notice } from "../parts/notice";
import { Time } from "../parts/time";
import { authorText, sharesText, type Target } from "./target";

export function Trouble({
  failure,
  isMoved,
  target,
  onRestart,
}: {
  failure: Refused | Unreachable | undefined;
  /** Whether the file is another one than the one that was decided by, before anything was tried. */
  isMoved: boolean;
  target: Target;
  onRestart: (now: ServiceDocument) => void;
}) {
  if (failure instanceof Refused) {
    const { problem } = failure;
    if (problem.changed !== undefined) {
      return <Conflict problem={problem} target={target} onRestart={onRestart} />;
    }
    if (isByHand(failure)) return <ByHand problem={problem} />;
  }
  if (isMoved) return <Conflict problem={undefined} target={target} onRestart={onRestart} />;
  return failure === undefined ? null : <Failure failure={failure} title={titleOf(failure)} />;
}

/** After these the file says what was asked for, and something else is served. */
const DONE_ALL_THE_SAME = ["held", "rejected"];

function titleOf(failure: Refused | Unreachable): string {
  const texts = t().actions;
  // Without an answer nobody knows whether it was done.
  if (!(failure instanceof Refused)) return texts.unanswered;
  return DONE_ALL_THE_SAME.includes(failure.problem.code) ? texts.halfDone : texts.refused;
}

/** Whether the process cannot write the file, and says what to change in it. */
export function isByHand(failure: Refused | Unreachable | undefined): boolean {
  return failure instanceof Refused && (failure.problem.diff !== undefined || failure.problem.text !== undefined);
}

function Conflict({
  problem,
  target,
  onRestart,
}: {
  problem: ProblemDocument | undefined;
  target: Target;
  onRestart: (now: ServiceDocument) => void;
}) {
  const texts = t().actions;
  const changed = problem?.changed;
  const declared = target.service.versions.map((version) => ({ version: version.name, share: version.declared_share }));
  const restart = async () => {
    onRestart(await target.refresh());
  };
  return (
    <Notice
      kind="warning"
      title={texts.conflict}
      live
      actions={<Button onClick={() => void restart()}>{texts.startThere}</Button>}
    >
      {changed?.author != null && (
        <p>
          {texts.conflictBy(authorText(changed.author))}
          {changed.at !== undefined && (
            <>
              {" "}
              <Time at={changed.at} />
            </>
          )}
        </p>
      )}
      <p>{texts.conflictNow(sharesText(changed?.shares ?? declared))}</p>
      <p>{problem === undefined || problem.code === "file-changed" ? texts.conflictHelp : problem.message}</p>
    </Notice>
  );
}

function ByHand({ problem }: { problem: ProblemDocument }) {
  const texts = t().actions;
  return (
    <>
      <Notice kind="warning" title={texts.byHand} live>
        <p>{problem.message}</p>
        <p>{texts.byHandHelp}</p>
      </Notice>
      {problem.diff !== undefined && problem.diff !== "" && (
        <CodeBlock text={problem.diff.trimEnd()} label={texts.byHandDiff} isDiff />
      )}
      {problem.text !== undefined && (
        <details open={problem.diff === undefined || problem.diff === ""}>
          <summary>{texts.byHandText}</summary>
          <CodeBlock text={problem.text} label={texts.byHandText} />
        </details>
      )}
    </>
  );
}
