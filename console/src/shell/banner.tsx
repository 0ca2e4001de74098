// What concerns the whole console: the process is gone, is another one, or this person may only look.

import { useEffect, useState } from "preact/hooks";

import { clock } from "../format";
import { t } from "../i18n";
import { connection, replaced, retryNow } from "../live";
import { Button } from "../parts/button";
import { Notice } from "../parts/notice";
import { visit } from "../session";

export function Banner() {
  if (visit.value.state !== "open") return <div class="banners" />;
  return (
    <section class="banners" aria-label={t().shell.notices}>
      <Gone />
      <Replaced />
      {visit.value.session.role === "viewer" && <Notice kind="info">{t().shell.viewerHint}</Notice>}
    </section>
  );
}

function Gone() {
  const texts = t().shell;
  const state = connection.value;
  const retry = state.state === "gone" ? state.retry : 0;
  const left = useSecondsUntil(retry);
  if (state.state === "draining") {
    return (
      <Notice kind="warning" title={texts.connection.draining} live>
        {texts.connectionHelp.draining}
      </Notice>
    );
  }
  // The first failure is often over before anybody has read of it.
  if (state.state !== "gone" || Date.now() - state.since < 1_500) return null;
  return (
    <Notice kind="error" title={texts.connection.gone} actions={<Button onClick={retryNow}>{texts.retryNow}</Button>}>
      {texts.gone(clock(new Date(state.since)), String(left))}
    </Notice>
  );
}

function Replaced() {
  const texts = t().shell;
  const other = replaced.value;
  if (other === undefined) return null;
  const isNewer = other.from !== other.to;
  return (
    <Notice
      kind={isNewer ? "warning" : "info"}
      live
      actions={
        <>
          {isNewer && <Button onClick={() => location.reload()}>{texts.reload}</Button>}
          <Button kind="quiet" onClick={() => (replaced.value = undefined)}>
            {texts.dismiss}
          </Button>
        </>
      }
    >
      {isNewer ? texts.replacedByOther(other.from, other.to) : texts.replaced}
    </Notice>
  );
}

function useSecondsUntil(moment: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (moment === 0) return undefined;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [moment]);
  return Math.max(0, Math.ceil((moment - now) / 1000));
}
