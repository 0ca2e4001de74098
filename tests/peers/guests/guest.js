addEventListener("fetch", (event) => event.respondWith(handle(event.request)));
async function handle(request) {
  const url = new URL(request.url);
  const to = url.search.slice("?url=".length);
  const answer = await fetch(to);
  return new Response("js: " + await answer.text(), { status: answer.status });
}
