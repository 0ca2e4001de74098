import { t } from "../i18n";

export function NewVersion(_: { environment: string; service: string; }) {
  return <p>{t().shell.soon}</p>;
}
