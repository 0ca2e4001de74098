import { t } from "../i18n";

export function Version(_: { environment: string; service: string; version: string; }) {
  return <p>{t().shell.soon}</p>;
}
