// What a change would do, before it is done.

import type { Preview, ShareChange } from "../api/change";
import { percent, shortDigest } from "../format";
import { t } from "../i18n";
import { CodeBlock } from "./code";
import { Notice } from "./notice";
import { Table } from "./table";

export function PlanView({ preview }: { preview: Preview }) {
  const texts = t().page;
  const { plan, diff, shares } = preview;
  const service = plan.services[0];
  const isMoving = shares.some(({ before, after }) => before !== after);
  return (
    <div class="plan">
      {isMoving ? <ShareTable shares={shares} /> : <p>{t().deploy.noShares}</p>}
      {service !== undefined && service.moves > 0 && <p>{texts.moves(percent(service.moves))}</p>}
      {service?.serves_nothing === true && <Notice kind="warning">{texts.servesNothing}</Notice>}
      {service?.waits !== undefined && <Notice kind="warning">{service.waits}</Notice>}
      {service?.unreachable.map((version) => <Notice key={version} kind="warning">{texts.fallsBack(version)}</Notice>)}
      {plan.compile.map(({ digest }) => <p key={digest}>{t().deploy.willCompile(shortDigest(digest))}</p>)}
      {plan.errors.map(({ version, code, detail, suggestion }) => (
        <Notice key={version} kind="error" title={`${version}: ${detail}`}>
          <p>{t().shell.help(suggestion)}</p>
          <p class="quiet"><code>{code}</code></p>
        </Notice>
      ))}
      {diff === "" ? <p class="quiet">{texts.noDiff}</p> : (
        <>
          <h3>{texts.diff}</h3>
          <CodeBlock text={diff} label={texts.diff} isDiff />
        </>
      )}
    </div>
  );
}

export function ShareTable({ shares }: { shares: readonly ShareChange[] }) {
  const texts = t().page;
  return (
    <Table
      label={t().deploy.traffic}
      rows={shares}
      id={({ version }) => version}
      columns={[
        { key: "version", label: texts.version, isHead: true, cell: ({ version }) => version },
        { key: "before", label: texts.before, isNumber: true, cell: ({ before }) => percent(before) },
        { key: "after", label: texts.after, isNumber: true, cell: ({ before, after }) => (
          before === after ? percent(after) : <b>{percent(after)}</b>
        ) },
      ]}
    />
  );
}
