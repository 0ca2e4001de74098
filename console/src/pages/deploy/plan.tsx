// What a deployment would do, before it is done.

import { Review } from "../../actions/review";
import type { Preview } from "../../api/change";
import { shortDigest } from "../../format";
import { t } from "../../i18n";
import { CodeBlock } from "../../parts/code";
import { Notice } from "../../parts/notice";

/** `order` has all versions, the new one last: their colours go by it. */
export function PlanView({ preview, order }: { preview: Preview; order: readonly string[] }) {
  const texts = t().deploy;
  const { plan, diff, shares } = preview;
  return (
    <div class="plan">
      <Review preview={{ ...preview, diff: "" }} order={order} />
      {shares.every(({ before, after }) => before === after) && <p>{texts.noShares}</p>}
      {plan.compile.map(({ digest }) => (
        <p key={digest}>{texts.willCompile(shortDigest(digest))}</p>
      ))}
      {plan.errors.map(({ version, code, detail, suggestion }) => (
        <Notice key={version} kind="error" title={`${version}: ${detail}`}>
          <p>{t().shell.help(suggestion)}</p>
          <p class="quiet">
            <code>{code}</code>
          </p>
        </Notice>
      ))}
      <h3>{t().actions.inFile}</h3>
      <CodeBlock text={diff} label={t().actions.inFile} isDiff />
    </div>
  );
}
