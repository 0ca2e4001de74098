// What somebody at the console does about a refusal, by its code. The process advises in the words of the commands, and
// for these codes that is no use here.

export const refusals = {
  busy: "Somebody else is changing files of the same directory. Try again in a moment.",
  "changed-meanwhile": "Somebody else changed the same thing at the same time. Look at what it is now.",
  "file-changed": "Somebody else has changed the file. Look at what it is now, and decide again.",
  "version-creating": "The version is still being made ready. Wait until it is normal.",
  "version-in-error": "The version cannot be served. Look at its error, mend the cause, and try again.",
  "version-unhealthy": "No target of the version answers. Look at its targets, or give it traffic all the same.",
  "version-quarantined": "Somebody rolled back from the version as bad. Lift the quarantine, or give it traffic all the same.",
  "version-closed": "The version's reach keeps it from having a share. Change `reach` in the file first.",
  "version-undeclared": "The version still serves, and its file does not declare it any more. Roll back, or declare it again.",
  "version-unavailable": "The version cannot be gone back to. Choose another one.",
  "version-has-traffic": "Move its share to other versions first.",
  "only-version": "A service needs a version. Create another one first, or remove the service's file.",
  "unknown-version": "The version is gone. Look at the versions that there are now.",
  "unknown-generation": "The history does not go back as far. Choose another generation.",
  "nothing-before": "The history has nothing before what is served.",
  "nothing-left": "Everything before was rolled back from, or cannot be served again. Choose a generation from the list.",
  "cannot-serve": "What that generation served cannot be served again. Choose another one, or take back the shares only.",
  "already-served": "That is what is served already.",
  "none-bad": "No version would lose all of its traffic, so none can be marked as bad. Choose another generation, or do not mark any.",
  "rollback-failed": "The file was put back, and what was served before goes on.",
  "invalid-configuration": "Mend the file first: nothing is changed while it is wrong.",
  draining: "The process ends and takes no changes any more. Try again once the next one answers.",
  viewer: "Log in with an operator's token.",
  csrf: "Your session has changed in another tab. Try again.",
};
