//! The words by which scripts know errors, each with its meaning: the one table that the code, the documentation and
//! the schema of the output share.

use std::fmt;

/// An error that scripts can tell from others. Its `Display` is the message: what is wrong with what, without advice.
pub trait Coded: fmt::Display {
    /// The word for it.
    fn code(&self) -> ErrorCode;

    /// What to do about it; `None` where nothing helps.
    fn help(&self) -> Option<String>;

    /// Message and advice in one line, as the log has them.
    fn line(&self) -> String {
        match self.help() {
            Some(help) => format!("{self}; {help}"),
            None => self.to_string(),
        }
    }

    /// What outlives the error.
    fn told(&self) -> Told {
        Told { code: self.code(), message: self.to_string(), help: self.help() }
    }
}

/// What an error has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub code: ErrorCode,
    pub message: String,
    pub help: Option<String>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

macro_rules! codes {
    ($($code:ident = $word:literal: $meaning:literal,)*) => {
        /// What kind of error it is. A word never changes its meaning; further words may come.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $code,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The word, in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $word,)*
                }
            }

            /// The code of a word, as another process has sent it.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == word)
            }

            /// One sentence for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$code => $meaning,)*
                }
            }
        }
    };
}

codes! {
    Usage = "usage": "The command line is wrong.",
    NotConfirmed = "not-confirmed": "Somebody was asked and did not say yes. Nothing was done.",
    NobodyToAsk = "nobody-to-ask": "The command takes traffic away, `--yes` is not given, and there is no terminal.",

    InvalidConfiguration = "invalid-configuration": "Files of the configuration are wrong; `problems` has all of it.",
    UnreadableConfiguration = "unreadable-configuration": "A file cannot be read for now. Try again.",
    OutsideServices = "outside-services": "No environment's `services` would find the file.",
    NoPlace = "no-place": "`services` does not say in which directory a new file belongs.",
    FileGone = "file-gone": "The service's file is gone; `rollback --restore-file` puts it back.",
    FileNotBroken = "file-not-broken": "`--restore-file` is for files that are broken or gone, and this one is not.",
    NoGoodText = "no-good-text": "What the file said when it was right is not known.",
    FileExists = "file-exists": "A file that was to be written is there already.",
    NoDirectory = "no-directory": "The directory of a new file is not there.",
    Busy = "busy": "Another command edits files of the same directory, or the process has as many event streams as it may.",
    FileChanged = "file-changed": "The service's file is not what was looked at. Nothing was done; `changed` says what the file is now.",
    ChangedMeanwhile = "changed-meanwhile": "Somebody else changed the same thing at the same time.",
    NotWritable = "not-writable": "This user may not write there; `change` is the edit.",
    OtherOwner = "other-owner": "The file belongs to another user; `change` is the edit.",
    ConfigMap = "config-map": "A Kubernetes ConfigMap would undo the edit; `change` is the edit.",
    WriteFailed = "write-failed": "A file cannot be written.",
    OutputFailed = "output-failed": "Standard output cannot be written to, or the system refuses something else.",

    UnknownEnvironment = "unknown-environment": "There is no such environment.",
    UnknownService = "unknown-service": "There is no such service.",
    AmbiguousService = "ambiguous-service": "Several environments have a service of this name.",
    AmbiguousEnvironment = "ambiguous-environment": "Several environments could take the new service.",
    ServiceExists = "service-exists": "The environment has this service already.",
    UnknownVersion = "unknown-version": "The service has no such version.",
    UnknownGeneration = "unknown-generation": "The history has no such generation of the service.",

    UnknownOperation = "unknown-operation": "The process has no such operation: it keeps the last 100 since it began.",
    UnknownUpload = "unknown-upload": "No component with this digest was uploaded in the last hour.",

    VersionExists = "version-exists": "The service has this version already, and versions do not change.",
    VersionCreating = "version-creating": "The version is still being made ready.",
    VersionInError = "version-in-error": "The version cannot be served; `fault` says why.",
    VersionUnhealthy = "version-unhealthy": "No target of the version is healthy, or answers.",
    VersionTimeout = "version-timeout": "The version did not become normal in time.",
    VersionQuarantined = "version-quarantined": "Somebody rolled back from the version with `--bad`.",
    VersionClosed = "version-closed": "The version's `reach` keeps it from having a share.",
    VersionUndeclared = "version-undeclared": "The version still serves, and its file does not declare it any more.",
    VersionUnavailable = "version-unavailable": "The version cannot be gone back to.",
    VersionHasTraffic = "version-has-traffic": "The version has traffic, would have at the next start, or is the one that `rescue` names.",
    OnlyVersion = "only-version": "The version is the only one of its service.",
    InvalidComponent = "invalid-component": "The component cannot be read; `fault` says why.",
    OverwritesComponent = "overwrites-component": "The component's file has other content than another version was made of.",
    NothingToShareWith = "nothing-to-share-with": "A version gets less than 100 %, and no other has traffic.",

    NothingBefore = "nothing-before": "The history has nothing before what is served.",
    NothingLeft = "nothing-left": "Everything before was rolled back from, or cannot be served again; `skipped` has it.",
    CannotServe = "cannot-serve": "What the generation served cannot be served again.",
    AlreadyServed = "already-served": "What is asked for is what is served.",
    NoneBad = "none-bad": "No version loses all of its traffic, so `--bad` means none.",
    RollbackFailed = "rollback-failed": "What came back is not what served before; the file was put back.",

    NoAdminAddress = "no-admin-address": "The files do not say on which port the process is asked.",
    InvalidAdminUrl = "invalid-admin-url": "`--admin` is not the address of an admin listener.",
    NoProcess = "no-process": "Nothing listens at the admin address.",
    ProcessUnreachable = "process-unreachable": "The process does not answer, or not in time.",
    OtherConfiguration = "other-configuration": "The process serves another configuration than the command is about.",
    FilesElsewhere = "files-elsewhere": "The command reads the configuration's files, and they are not on this machine.",
    TokenFile = "token-file": "The file of the admin token cannot be used.",
    TokenWanted = "token-wanted": "The process wants a token, and the files name none.",
    TokenRefused = "token-refused": "The process has another token.",
    UnexpectedAnswer = "unexpected-answer": "What answers is no watershed, or a much older one.",
    ProcessRefused = "process-refused": "The process refuses the request, with a word that this command does not know.",
    Rejected = "rejected": "The file was edited, and the process rejects it; `problems` says why.",
    Held = "held": "The file was edited, and what it declares is not what is served.",

    MalformedRequest = "malformed-request": "The request is not HTTP/1.1, or a part of its head is malformed.",
    HeadTooLong = "head-too-long": "The head of the request is longer than the admin listener takes.",
    HostMissing = "host-missing": "The request names no host, or several.",
    HostUnknown = "host-unknown": "The admin listener does not answer for this host.",
    ForeignOrigin = "foreign-origin": "A web page of another origin sent the request.",
    TokenMissing = "token-missing": "The request has no token, and no session of the console.",
    TokenWrong = "token-wrong": "The token of the request is none of those in `token-file`.",
    Viewer = "viewer": "The token is a viewer's, and only operators may do this.",
    Csrf = "csrf": "A session of the console is used without its token against forged requests.",
    TooManyAttempts = "too-many-attempts": "Too many logins with wrong tokens came from one address.",
    UnknownPath = "unknown-path": "The admin listener has no such path.",
    MethodNotAllowed = "method-not-allowed": "The path does not take this method.",
    UnknownParameter = "unknown-parameter": "The path has no such parameter.",
    MissingParameter = "missing-parameter": "The path needs another parameter.",
    BadParameter = "bad-parameter": "A parameter is malformed, or is given twice.",
    UnsupportedMediaType = "unsupported-media-type": "The body is not JSON.",
    BodyTooLong = "body-too-long": "The body is longer than the path takes.",
    BodyLate = "body-late": "The body did not come in time.",
    BodyIncomplete = "body-incomplete": "The body broke off.",
    BadBody = "bad-body": "The body is not what the path takes.",
    NotAlive = "not-alive": "A part of the process does not do its work.",
    NotReady = "not-ready": "The process does not serve yet, or not any more.",
    NothingLoaded = "nothing-loaded": "The process has not read its files yet.",
    RestartUnderWay = "restart-under-way": "The process is being replaced already.",
    CannotRestart = "cannot-restart": "The process cannot be replaced while it runs.",
    RestartFailed = "restart-failed": "The new process did not take over, and the old one goes on.",
    Draining = "draining": "The process ends, and takes no changes any more.",
    Internal = "internal": "The process failed to answer.",

    HistoryInUse = "history-in-use": "Another process has the history open.",
    HistoryUnusable = "history-unusable": "The history's file cannot be opened.",
    HistoryDamaged = "history-damaged": "The history's file is damaged.",
    HistoryFailed = "history-failed": "The history cannot be read or written.",

    NotSticky = "not-sticky": "The service has no `[traffic.sticky]`.",
    InvalidKey = "invalid-key": "The sticky key is not of the kind that the service uses.",

    CannotStart = "cannot-start": "The process cannot start.",
    NoSandboxes = "no-sandboxes": "This machine has no room for the sandboxes.",
    CompileFailed = "compile-failed": "The component cannot be compiled.",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_is_one_word_with_one_meaning() {
        let words: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        let meanings: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.meaning()).collect();
        assert_eq!(words.len(), ErrorCode::ALL.len());
        assert_eq!(meanings.len(), ErrorCode::ALL.len());
        for word in words {
            let is_plain =
                |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
            assert!(word.split('-').all(is_plain), "{word} is not in kebab case");
        }
    }
}
