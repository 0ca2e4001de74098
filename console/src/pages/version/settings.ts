// The settings of a version, by what they are about. The keys are those of `/api/v1/config`.

import type { Settings } from "../../api/config";

export interface Setting {
  key: string;
  value: string;
}

export interface Grouped {
  env: Setting[];
  limits: Setting[];
  /** Origins and networks that a guest may reach. */
  grants: Setting[];
  others: Setting[];
}

export function grouped(settings: Settings): Grouped {
  const groups: Grouped = { env: [], limits: [], grants: [], others: [] };
  for (const [key, { text }] of Object.entries(settings)) {
    const dot = key.indexOf(".");
    const [group, rest] = [key.slice(0, Math.max(dot, 0)), key.slice(dot + 1)];
    if (group === "env") groups.env.push({ key: rest, value: text });
    else if (group === "limits") groups.limits.push({ key: rest, value: text });
    else if (group === "outbound") groups.grants.push({ key: rest, value: text });
    else if (key !== "remark") groups.others.push({ key, value: text });
  }
  return groups;
}
