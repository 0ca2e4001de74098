// English, and so the list of all texts. A page has a file of its own in `en/`, and the same file in `zh/`.

import { actions } from "./en/actions";
import { configuration } from "./en/configuration";
import { deploy } from "./en/deploy";
import { explain } from "./en/explain";
import { history } from "./en/history";
import { login } from "./en/login";
import { refusals } from "./en/refusals";
import { service } from "./en/service";
import { services } from "./en/services";
import { shell, units } from "./en/shell";
import { version } from "./en/version";

export const en = {
  actions,
  configuration,
  deploy,
  explain,
  history,
  login,
  refusals,
  service,
  services,
  shell,
  units,
  version,
};
