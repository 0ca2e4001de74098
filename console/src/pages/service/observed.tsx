// What a version had of the requests, and whether that fits its share.

import type { ObservedDocument, WindowDocument } from "../../api/documents";
import { count, percent } from "../../format";
import { t } from "../../i18n";
import { Icon } from "../../parts/icon";

export function Observed({ observed }: { observed: ObservedDocument | undefined }) {
  if (observed === undefined) return <span class="quiet">{t().shell.notYet}</span>;
  const texts = t().service;
  const { minute, since_publish: since } = observed;
  // A window that began with the change says the same twice.
  const isSame = Math.abs(minute.seconds - since.seconds) < 5;
  return (
    <div class="stack">
      <Window window={since} name={texts.observedSince} />
      {!isSame && <Window window={minute} name={texts.observedMinute} />}
    </div>
  );
}

function Window({ window, name }: { window: WindowDocument; name: string }) {
  const texts = t().service;
  const { share, too_early, requests, drawn, drawn_of, beyond_chance } = window;
  return (
    <div>
      {share === undefined || too_early ? (
        <span class="quiet" title={t().units.tooEarlyHelp}>
          {t().units.tooEarly}
        </span>
      ) : (
        <span title={t().units.requests(count(requests))}>{percent(share)}</span>
      )}{" "}
      <span class="quiet small">{name}</span>
      {beyond_chance === true && drawn !== undefined && drawn_of !== undefined && (
        <p class="beyond" title={texts.beyondChanceHelp(count(drawn), count(drawn_of))}>
          <Icon name="attention" /> {texts.beyondChance}
          <span class="said">. {texts.beyondChanceHelp(count(drawn), count(drawn_of))}</span>
        </p>
      )}
    </div>
  );
}
