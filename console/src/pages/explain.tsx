// Which version a request would get, and why.

import { useState } from "preact/hooks";

import { explain, type Explanation } from "../api/explanation";
import { Refused, Unreachable } from "../api/problem";
import { t } from "../i18n";
import { Button } from "../parts/button";
import { Field, Select, TextField } from "../parts/field";
import { Failure } from "../parts/notice";
import { place, refine } from "../router";
import { Answer } from "./explain/answer";
import { type Asked, askedIn, type Complaint, isComplaint, METHODS, questionOf } from "./explain/question";
import { Heading } from "./service/heading";

type Outcome =
  | { is: "nothing" }
  | { is: "asking" }
  | { is: "answer"; explanation: Explanation }
  | { is: "failure"; failure: Refused | Unreachable };

export function Explain({ environment, service }: { environment: string; service: string }) {
  const texts = t().explain;
  const [asked, setAsked] = useState<Asked>(() => askedIn(place.peek().query));
  const [complaint, setComplaint] = useState<Complaint>();
  const [outcome, setOutcome] = useState<Outcome>({ is: "nothing" });
  const change = (part: Partial<Asked>) => setAsked({ ...asked, ...part });

  const ask = async () => {
    const question = questionOf(asked);
    setComplaint(isComplaint(question) ? question : undefined);
    if (isComplaint(question)) return;
    refine({ ...asked });
    setOutcome({ is: "asking" });
    try {
      setOutcome({ is: "answer", explanation: await explain(environment, service, question) });
    } catch (error) {
      setOutcome({ is: "failure", failure: error instanceof Refused ? error : new Unreachable(String(error)) });
    }
  };
  const wrong = (field: Complaint["field"], say: (line: string) => string) =>
    complaint?.field === field ? say(complaint.line) : undefined;

  return (
    <>
      <Heading environment={environment} service={service} title={texts.title(service)} />
      <p>{texts.about}</p>
      <form
        class="form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <div class="request-line">
          <Select
            label={texts.method}
            value={asked.method}
            options={METHODS.map((method) => ({ value: method, label: method }))}
            onChange={(method) => change({ method })}
          />
          <TextField label={texts.path} help={texts.pathHelp} value={asked.path} onInput={(path) => change({ path })} />
        </div>
        <div class="grid">
          <Lines
            label={texts.headers}
            help={texts.linesHelp.headers}
            error={wrong("headers", texts.wrongHeader)}
            value={asked.headers}
            onInput={(headers) => change({ headers })}
          />
          <Lines
            label={texts.cookies}
            help={texts.linesHelp.cookies}
            error={wrong("cookies", texts.wrongCookie)}
            value={asked.cookies}
            onInput={(cookies) => change({ cookies })}
          />
        </div>
        <TextField
          label={texts.client}
          help={texts.clientHelp}
          value={asked.client}
          onInput={(client) => change({ client })}
        />
        <div class="buttons">
          <Button kind="primary" type="submit" busy={outcome.is === "asking"}>
            {texts.submit}
          </Button>
        </div>
      </form>
      <div aria-live="polite" class="result">
        {outcome.is === "failure" && <Failure failure={outcome.failure} title={texts.failed} />}
        {outcome.is === "answer" && <Answer explanation={outcome.explanation} />}
      </div>
    </>
  );
}

function Lines({
  label,
  help,
  error,
  value,
  onInput,
}: {
  label: string;
  help: string;
  error: string | undefined;
  value: string;
  onInput: (value: string) => void;
}) {
  return (
    <Field label={label} help={help} error={error}>
      {(ties) => (
        <textarea
          {...ties}
          class="input"
          rows={3}
          spellcheck={false}
          autocomplete="off"
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}
