// What is not as it should be, or not as the file says.

import { sharesText } from "../../actions/target";
import type { ServiceDocument } from "../../api/documents";
import { t } from "../../i18n";
import { CodeBlock } from "../../parts/code";
import { Notice } from "../../parts/notice";

export function Notices({ service }: { service: ServiceDocument }) {
  const texts = t().service;
  const { serving, held, warning, rejected, after_restart: afterRestart } = service;
  return (
    <div class="notices" aria-live="polite">
      {serving === "offline" && <Notice kind="warning" title={texts.isOffline} />}
      {serving === "nothing" && <Notice kind="error" title={texts.servesNothing} />}
      {serving === "rescue" && <Notice kind="error" title={texts.servedByRescue(service.rescuer ?? "")} />}
      {rejected !== undefined && (
        <Notice kind="error" title={texts.rejected}>
          <CodeBlock text={rejected.report.trimEnd()} label={texts.rejected} />
        </Notice>
      )}
      {held !== undefined && (
        <Notice kind="warning" title={texts.held}>
          <p>{held}</p>
          <p>{texts.heldHelp}</p>
        </Notice>
      )}
      {warning !== undefined && (
        <Notice kind="warning" title={texts.warning}>
          {warning}
        </Notice>
      )}
      {afterRestart !== undefined && (
        <Notice kind="warning" title={texts.afterRestart}>
          {afterRestart.length === 0 ? texts.afterRestartNothing : texts.afterRestartShares(sharesText(afterRestart))}
        </Notice>
      )}
    </div>
  );
}
