// How many services have each health, and a way to see only those.

import type { Health } from "../../api/documents";
import { count } from "../../format";
import { t } from "../../i18n";
import { Icon } from "../../parts/icon";
import { HEALTH } from "../../parts/status";
import { HEALTHS } from "./select";

export function HealthFilter({
  counts,
  chosen,
  onChoose,
}: {
  counts: Record<Health, number>;
  chosen: Health | undefined;
  onChoose: (health: Health | undefined) => void;
}) {
  const texts = t().services;
  return (
    <div class="chips" role="group" aria-label={texts.healthFilter}>
      {HEALTHS.map((health) => {
        const { tone, icon } = HEALTH[health];
        const isChosen = health === chosen;
        return (
          <button
            key={health}
            type="button"
            class={counts[health] === 0 ? "chip" : `chip badge-${tone}`}
            aria-pressed={isChosen}
            onClick={() => onChoose(isChosen ? undefined : health)}
          >
            <Icon name={icon} />
            {texts.health[health]} <b>{count(counts[health])}</b>
          </button>
        );
      })}
    </div>
  );
}
