import type { login as english } from "../en/login";

export const login: typeof english = {
  title: "登录",
  why: "此进程只响应持有令牌的请求。",
  token: "令牌",
  tokenHelp: "[admin] 下 token-file 所指文件中的一行，由运行该进程的人保管。",
  submit: "登录",
  empty: "请输入令牌",
  wrong: "文件中没有这个令牌。请检查是否复制完整，并且不要带上前面的角色名。",
  failed: "登录失败",
};
