// Where the process wants a token.

import { useState } from "preact/hooks";

import { api } from "../api/client";
import { Refused, Unreachable } from "../api/problem";
import { t } from "../i18n";
import { Button } from "../parts/button";
import { TextField } from "../parts/field";
import { Failure } from "../parts/notice";
import { enter } from "../session";

export function Login() {
  const texts = t().login;
  const [token, setToken] = useState("");
  const [isAsking, setAsking] = useState(false);
  const [failure, setFailure] = useState<Refused | Unreachable>();
  const [wasEmpty, setWasEmpty] = useState(false);
  const isWrong = failure instanceof Refused && failure.problem.code === "token-wrong";
  const logIn = async () => {
    if (isAsking) return;
    setFailure(undefined);
    setWasEmpty(token.trim() === "");
    if (token.trim() === "") return;
    setAsking(true);
    try {
      enter(await api.login(token.trim()));
    } catch (error) {
      setFailure(error instanceof Refused ? error : new Unreachable(String(error)));
    } finally {
      setAsking(false);
    }
  };
  const submit = (event: Event) => {
    event.preventDefault();
    void logIn();
  };
  return (
    <form class="login" onSubmit={submit} noValidate>
      <h1>{texts.title}</h1>
      <p>{texts.why}</p>
      <TextField
        label={texts.token}
        help={texts.tokenHelp}
        type="password"
        autocomplete="current-password"
        autoFocus
        value={token}
        error={wasEmpty ? texts.empty : isWrong ? texts.wrong : undefined}
        onInput={setToken}
      />
      {failure !== undefined && !isWrong && <Failure failure={failure} title={texts.failed} />}
      <div class="buttons">
        <Button kind="primary" type="submit" busy={isAsking}>
          {texts.submit}
        </Button>
      </div>
    </form>
  );
}
