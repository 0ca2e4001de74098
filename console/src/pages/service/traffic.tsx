// Who gets how much now, and how the service does as a whole.

import type { ServiceDocument } from "../../api/documents";
import { count, milliseconds, rate, ratio } from "../../format";
import { t } from "../../i18n";
import { Figure } from "../../parts/figure";
import { ShareBar } from "../../parts/share-bar";
import { Time } from "../../parts/time";

export function Traffic({ service }: { service: ServiceDocument }) {
  const texts = t().service;
  const { figures } = texts;
  const how = service.serving === "offline" ? texts.isOffline : service.latest ? texts.latest : texts.split;
  return (
    <section class="card traffic" aria-label={texts.trafficNow}>
      <div class="traffic-shares">
        <div class="section-head">
          <h2>{texts.trafficNow}</h2>
          <span class="quiet">
            {service.traffic_since_start === true ? texts.sinceStart : texts.since(count(service.traffic_generation))}
            {" · "}
            <Time at={service.traffic_since} />
          </span>
        </div>
        <ShareBar parts={service.versions.map(({ name, share }) => ({ version: name, share }))} />
        <p class="quiet">{how}</p>
      </div>
      <dl class="figures">
        <div>
          <dt>{figures.rate}</dt>
          <dd>
            <Figure value={service.requests_per_second} show={(value) => t().units.rate(rate(value))} isEarly />
          </dd>
        </div>
        <div>
          <dt>{figures.errors}</dt>
          <dd>
            <Figure value={service.error_ratio} show={ratio} />
          </dd>
        </div>
        <div>
          <dt>{figures.p50}</dt>
          <dd>
            <Figure value={service.p50_ms} show={milliseconds} />
          </dd>
        </div>
        <div>
          <dt>{figures.p99}</dt>
          <dd>
            <Figure value={service.p99_ms} show={milliseconds} />
          </dd>
        </div>
        <div>
          <dt>{figures.inFlight}</dt>
          <dd>{count(service.in_flight)}</dd>
        </div>
      </dl>
    </section>
  );
}
