// The page that an address names, in its frame.

import { useEffect, useRef } from "preact/hooks";

import { t } from "./i18n";
import { Configuration } from "./pages/configuration";
import { Explain } from "./pages/explain";
import { History } from "./pages/history";
import { Login } from "./pages/login";
import { NewVersion } from "./pages/new-version";
import { Operation } from "./pages/operation";
import { Service } from "./pages/service";
import { Services } from "./pages/services";
import { Version } from "./pages/version";
import { LinkButton } from "./parts/button";
import { Loading, Notice } from "./parts/notice";
import { Toasts } from "./parts/toasts";
import { link, place, type Route } from "./router";
import { visit } from "./session";
import { Banner } from "./shell/banner";
import { Header } from "./shell/header";

export function App() {
  const texts = t().shell;
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        {texts.skip}
      </a>
      <Header />
      <Banner />
      <Main />
      <Toasts />
    </>
  );
}

/** The address stays: what follows its `#` is the page. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Main() {
  const main = useRef<HTMLElement>(null);
  const { route } = place.value;
  const path = link(route);
  const first = useRef(path);
  const state = visit.value;
  useEffect(() => {
    document.title = [...titleOf(route), "Watershed"].join(" · ");
    if (first.current === path) return;
    first.current = path;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [path]);
  return (
    <main id="main" class="main" ref={main} tabIndex={-1}>
      {state.state === "asking" && <Loading />}
      {state.state === "needed" && <Login />}
      {state.state === "failed" && (
        <Notice kind="error" title={t().shell.startFailed}>
          {state.why}
        </Notice>
      )}
      {state.state === "open" && <Page key={path} route={route} />}
    </main>
  );
}

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case "services":
      return <Services environment={route.environment} />;
    case "service":
      return <Service environment={route.environment} service={route.service} />;
    case "version":
      return <Version environment={route.environment} service={route.service} version={route.version} />;
    case "new-version":
      return <NewVersion environment={route.environment} service={route.service} />;
    case "operation":
      return <Operation environment={route.environment} service={route.service} operation={route.operation} />;
    case "history":
      return <History environment={route.environment} service={route.service} />;
    case "explain":
      return <Explain environment={route.environment} service={route.service} />;
    case "configuration":
      return <Configuration />;
    case "unknown":
      return <Unknown />;
  }
}

function Unknown() {
  const texts = t().shell;
  return (
    <>
      <h1>{texts.notFound}</h1>
      <p>{texts.notFoundHelp}</p>
      <LinkButton href={link({ page: "services" })} icon="left">
        {texts.toServices}
      </LinkButton>
    </>
  );
}

function titleOf(route: Route): string[] {
  switch (route.page) {
    case "services":
      return route.environment === undefined ? [] : [route.environment];
    case "version":
      return [route.version, route.service, route.environment];
    case "configuration":
    case "unknown":
      return [];
    default:
      return [route.service, route.environment];
  }
}
