import type { history as english } from "../en/history";

export const history: typeof english = {
  title: (service) => `${service} 的历史记录`,
  about: "改变该服务的每一代配置，最新的在前：最多 1,000 条，保留 90 天。",
  more: "显示更早的记录",
  empty: "尚无记录",
  emptyHelp: "历史记录从第一次为该服务提供流量的那一代开始。",
};
