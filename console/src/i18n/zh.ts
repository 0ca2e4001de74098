// Chinese, in the words of the mission: 全量升级, 灰度升级, 流量配置, 回滚.

import type { en } from "./en";
import { actions } from "./zh/actions";
import { configuration } from "./zh/configuration";
import { deploy } from "./zh/deploy";
import { explain } from "./zh/explain";
import { history } from "./zh/history";
import { login } from "./zh/login";
import { refusals } from "./zh/refusals";
import { service } from "./zh/service";
import { services } from "./zh/services";
import { shell, units } from "./zh/shell";
import { version } from "./zh/version";

export const zh: typeof en = {
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
