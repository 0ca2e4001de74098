export const history = {
  title: (service: string) => `History of ${service}`,
  about: "Each generation that changed the service, the newest first: at most 1,000, for 90 days.",
  more: "Show older ones",
  empty: "Nothing is recorded yet",
  emptyHelp: "The history begins with the first generation that serves the service.",
};
