// Words that the pages of a service share.

export const page = {
  trail: "Where you are",
  gone: (version: string) => `There is no version ${version}`,
  goneHelp: "It was deleted, or the address is misspelt.",
  toService: (service: string) => `To ${service}`,
  moves: (share: string) => `${share} of the traffic goes to another version`,
  servesNothing: "Nobody gets anything afterwards: requests are answered with 503.",
  before: "Before",
  after: "After",
  version: "Version",
  diff: "What changes in the file",
  noDiff: "The file stays as it is.",
  byHand: "The change to make by hand",
  byHandHelp: "The console cannot write this file. Make this change where the file comes from.",
  changedBy: (who: string) => `The file was changed by ${who} since this page was read. Nothing was done.`,
  somebody: "somebody",
  now: (shares: string) => `It says now: ${shares}`,
  fallsBack: (version: string) => `${version} has no traffic afterwards`,
};
