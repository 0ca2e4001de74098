import type { page as english } from "../en/page";

export const page: typeof english = {
  trail: "当前位置",
  gone: (version) => `没有版本 ${version}`,
  goneHelp: "它已被删除，或者地址有误。",
  toService: (service) => `前往 ${service}`,
  moves: (share) => `${share} 的流量会转到其他版本`,
  servesNothing: "此后没有版本接收流量：请求会得到 503。",
  before: "之前",
  after: "之后",
  version: "版本",
  diff: "文件中的变更",
  noDiff: "文件保持不变。",
  byHand: "需要手动进行的变更",
  byHandHelp: "控制台无法写入此文件。请在文件的来源处进行这项变更。",
  changedBy: (who) => `读取此页面后，文件被${who}修改过。没有执行任何操作。`,
  somebody: "他人",
  now: (shares) => `现在的内容：${shares}`,
  fallsBack: (version) => `此后 ${version} 没有流量`,
};
