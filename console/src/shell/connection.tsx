// Whether what is shown is what is.

import { count } from "../format";
import { t } from "../i18n";
import { connection, generation } from "../live";

export function ConnectionState() {
  const texts = t().shell;
  const { state } = connection.value;
  const served = generation.value;
  return (
    <span class={`connection connection-${state}`} role="status">
      <span class="connection-dot" aria-hidden="true" />
      <span class="connection-word" title={state === "gone" ? undefined : texts.connectionHelp[state]}>
        {texts.connection[state]}
      </span>
      {served !== undefined && (
        <span class="connection-generation" title={texts.generationTitle}>
          {texts.generation(count(served))}
        </span>
      )}
    </span>
  );
}
