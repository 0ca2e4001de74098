import { t } from "../i18n";

export function Configuration() {
  return <p>{t().shell.soon}</p>;
}
