import { t } from "../i18n";

export function Service(_: { environment: string; service: string }) {
  return <p>{t().shell.soon}</p>;
}
