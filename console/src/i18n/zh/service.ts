import type { service as english } from "../en/service";

export const service: typeof english = {
  status: {
    creating: "创建中",
    normal: "正常",
    error: "错误",
    quarantined: "已隔离",
    unhealthy: "不健康",
  },
};
