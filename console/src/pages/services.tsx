// All services, or those of an environment: which of them need somebody, and who gets how much.

import { useEffect } from "preact/hooks";

import { api } from "../api/client";
import type { ServicesDocument } from "../api/documents";
import { count } from "../format";
import { t } from "../i18n";
import { Button } from "../parts/button";
import { CodeBlock } from "../parts/code";
import { TextField } from "../parts/field";
import { Empty, Failure, Loading } from "../parts/notice";
import { place, refine } from "../router";
import { useResource } from "../resource";
import { environments } from "../shell/header";
import { HEALTHS, type Page, paged, select } from "./services/select";
import { HealthFilter } from "./services/health-filter";
import { ServicesTable } from "./services/table";

export function Services({ environment }: { environment: string | undefined }) {
  const services = useResource("services", api.services, { every: 5_000 });
  const document = services.document.value;
  const failure = services.failure.value;
  useEffect(() => {
    if (document === undefined) return;
    const names = [...new Set(document.services.map((service) => service.environment))];
    if (names.join() !== environments.value.join()) environments.value = names;
  }, [document]);
  const texts = t().services;
  return (
    <>
      <h1>{environment === undefined ? texts.title : texts.titleIn(environment)}</h1>
      {failure !== undefined && document === undefined && (
        <Failure
          failure={failure}
          actions={<Button onClick={() => void services.refresh()}>{t().shell.tryAgain}</Button>}
        />
      )}
      {document === undefined && failure === undefined && <Loading />}
      {document !== undefined && <List document={document} environment={environment} />}
    </>
  );
}

function List({ document, environment }: { document: ServicesDocument; environment: string | undefined }) {
  const texts = t().services;
  const { query } = place.value;
  const text = query.get("q") ?? "";
  const health = HEALTHS.find((health) => health === query.get("health"));
  const { matching, counts, all } = select(document.services, { environment, text, health });
  if (all === 0) return <NoServices />;
  const shown = paged(matching, query.get("page"));
  const change = (changes: Record<string, string | undefined>) => refine({ q: text, health, ...changes });
  return (
    <>
      <div class="filters" role="search" aria-label={texts.search}>
        <TextField
          label={texts.search}
          type="search"
          value={text}
          placeholder={texts.searchPlaceholder}
          onInput={(q) => change({ q })}
        />
        <HealthFilter counts={counts} chosen={health} onChoose={(health) => change({ health })} />
        <p class="filters-count" role="status">
          {texts.counted(count(matching.length), count(all))}
        </p>
      </div>
      {matching.length === 0 ? (
        <Empty title={texts.nothingMatches}>
          <p>{texts.nothingMatchesHelp}</p>
          <Button onClick={() => refine({})}>{texts.showAll}</Button>
        </Empty>
      ) : (
        <ServicesTable services={shown.rows} withEnvironment={environment === undefined} />
      )}
      <Pager shown={shown} all={matching.length} onPage={(page) => change({ page: String(page) })} />
    </>
  );
}

function Pager({ shown, all, onPage }: { shown: Page; all: number; onPage: (page: number) => void }) {
  const { page, pages, first, last } = shown;
  const texts = t().services;
  if (pages === 1) return null;
  const here = texts.page(count(first), count(last), count(all));
  return (
    <nav class="pager" aria-label={texts.pages}>
      <Button icon="left" blocked={page === 1 ? here : undefined} onClick={() => onPage(page - 1)}>
        {texts.previous}
      </Button>
      <span role="status">{here}</span>
      <Button blocked={page === pages ? here : undefined} onClick={() => onPage(page + 1)}>
        {texts.next}
      </Button>
    </nav>
  );
}

function NoServices() {
  const texts = t().services;
  return (
    <Empty title={texts.empty}>
      <p>{texts.emptyHelp}</p>
      <CodeBlock text={texts.emptyCommand} label={texts.empty} />
    </Empty>
  );
}
