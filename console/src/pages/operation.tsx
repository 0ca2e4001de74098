import { t } from "../i18n";

export function Operation(_: { environment: string; service: string; operation: string; }) {
  return <p>{t().shell.soon}</p>;
}
