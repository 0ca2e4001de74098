import { t } from "../i18n";

export function History(_: { environment: string; service: string; }) {
  return <p>{t().shell.soon}</p>;
}
