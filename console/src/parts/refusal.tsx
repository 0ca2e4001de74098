// Why a change was not made: somebody else changed the file, the file cannot be written, or it is wrong.

import { Refused, sharesOf, type Unreachable } from "../api/problem";
import { percent } from "../format";
import { t } from "../i18n";
import { CodeBlock } from "./code";
import { Failure, Notice } from "./notice";

export function Refusal({ failure, title }: { failure: Refused | Unreachable; title: string }) {
  const texts = t().page;
  if (!(failure instanceof Refused)) return <Failure failure={failure} title={title} />;
  const { changed, diff, text } = failure.problem;
  return (
    <>
      <Failure failure={failure} title={title} />
      {changed !== undefined && (
        <Notice kind="warning" title={texts.changedBy(changed.user ?? changed.by ?? texts.somebody)}>
          {sharesOf(changed).length > 0 && (
            <p>{texts.now(sharesOf(changed).map(({ version, share }) => `${version} ${percent(share)}`).join(", "))}</p>
          )}
        </Notice>
      )}
      {(diff ?? text) !== undefined && (
        <>
          <p>{texts.byHandHelp}</p>
          <CodeBlock text={diff ?? text ?? ""} label={texts.byHand} isDiff={diff !== undefined} />
        </>
      )}
    </>
  );
}
