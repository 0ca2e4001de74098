export const login = {
  title: "Log in",
  why: "You need a token to use this process.",
  token: "Token",
  tokenHelp: "A line of the file that token-file under [admin] names. Whoever runs the process has it.",
  submit: "Log in",
  empty: "Enter a token",
  wrong:
    "This token is not in the file. Check that all of it was copied, without the word for the role in front of it.",
  failed: "The login failed",
};
