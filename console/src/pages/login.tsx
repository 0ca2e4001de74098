import { t } from "../i18n";

export function Login() {
  return <p>{t().shell.soon}</p>;
}
