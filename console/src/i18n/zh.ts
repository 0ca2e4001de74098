// Chinese, in the words of the mission: 全量升级, 灰度升级, 流量配置, 回滚.

import type { en } from "./en";
import { actions } from "./zh/actions";
import { refusals } from "./zh/refusals";
import { service } from "./zh/service";
import { services } from "./zh/services";
import { shell, units } from "./zh/shell";

export const zh: typeof en = { shell, units, services, service, actions, refusals };
