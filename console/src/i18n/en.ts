// English, and so the list of all texts. A page has a file of its own in `en/`, and the same file in `zh/`.

import { actions } from "./en/actions";
import { refusals } from "./en/refusals";
import { service } from "./en/service";
import { services } from "./en/services";
import { shell, units } from "./en/shell";

export const en = { shell, units, services, service, actions, refusals };
