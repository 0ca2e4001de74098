// Health and status: an icon and a word, and a colour that says the same once more.

import type { Health, VersionDocument, VersionSummary } from "../api/documents";
import { t } from "../i18n";
import { Icon, type IconName } from "./icon";

type Tone = "good" | "warning" | "bad" | "idle" | "busy";

export function Badge({
  tone,
  icon,
  children,
  title,
}: {
  tone: Tone;
  icon: IconName;
  children: string;
  title?: string;
}) {
  return (
    <span class={`badge badge-${tone}`} title={title}>
      <Icon name={icon} spin={icon === "spin"} />
      {children}
    </span>
  );
}

export const HEALTH: Record<Health, { tone: Tone; icon: IconName }> = {
  ok: { tone: "good", icon: "check" },
  attention: { tone: "warning", icon: "attention" },
  failing: { tone: "bad", icon: "cross" },
  offline: { tone: "idle", icon: "off" },
};

export function HealthBadge({ health, title }: { health: Health; title?: string }) {
  const { tone, icon } = HEALTH[health] ?? HEALTH.attention;
  return (
    <Badge tone={tone} icon={icon} title={title}>
      {t().services.health[health] ?? health}
    </Badge>
  );
}

/** The one word for a version: what keeps it from traffic comes first. */
export function StatusBadge({ version }: { version: VersionDocument | VersionSummary }) {
  const texts = t().service.status;
  if (version.status === "error")
    return (
      <Badge tone="bad" icon="cross">
        {texts.error}
      </Badge>
    );
  if (version.status === "creating")
    return (
      <Badge tone="busy" icon="spin">
        {texts.creating}
      </Badge>
    );
  if (version.quarantined)
    return (
      <Badge tone="warning" icon="off">
        {texts.quarantined}
      </Badge>
    );
  if (version.unhealthy)
    return (
      <Badge tone="bad" icon="attention">
        {texts.unhealthy}
      </Badge>
    );
  return (
    <Badge tone="good" icon="check">
      {texts.normal}
    </Badge>
  );
}
