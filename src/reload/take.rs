//! The result of a load: either a configuration, which is compared with what is served, or a
//! rejected main file. Both are reported in the log, the metrics and [`ReloadHandle`]. Called by `load`.
//!
//! [`ReloadHandle`]: super::ReloadHandle

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::candidates::Again;
use super::load::lock;
use super::outcome::{Outcome, Reload};
use super::stale::Stale;
use super::{Following, LOG, Reloader, declared_in};
use crate::config::{
    Config, EnvironmentName, Report, Service, ServiceName, VersionSpec, Warnings, restart_changes,
};
use crate::source::{Changed, Changes, Followed, GoodFile, Loaded, Rejected, Rejection};
use crate::versions::ServiceKey;

#[derive(Debug, Default)]
pub(super) struct Unread {
    pub(super) files: usize,
    pub(super) why: String,
}

/// What is new in a configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adopted {
    /// Whether there is something to publish.
    pub is_changed: bool,
    /// Whether a file is wrong that was right, or otherwise wrong.
    is_rejected_anew: bool,
}

impl Reloader {
    /// Takes a loaded configuration, and publishes if it differs. `touched` are the services with a
    /// component or a secret that may have changed.
    pub(super) async fn take(
        &mut self,
        loaded: Loaded,
        touched: &HashSet<ServiceKey>,
        again: Again,
    ) -> Reload {
        let read = loaded.read;
        let Adopted { is_changed, is_rejected_anew } = self.adopt(loaded, touched, again);
        // Asked in any case: it notes the services to publish.
        let is_rotated = self.has_stale_secret();
        if is_changed || is_rotated {
            self.journal.keep_few_texts().await;
            self.publish().await;
            self.journal.keep_texts().await;
            let mut reload = self.came_of(Outcome::Published, read);
            if !reload.restart.is_empty() {
                reload.outcome = Outcome::NeedsRestart;
            }
            return reload;
        }
        // A comment that was edited changes nothing that is served.
        self.journal.keep_texts().await;
        let outcome = match is_rejected_anew {
            true => Outcome::Rejected,
            false if self.unread.files > 0 => Outcome::Postponed,
            false => Outcome::Unchanged,
        };
        self.came_of(outcome, read)
    }

    /// Takes a loaded configuration, and publishes nothing yet.
    pub(super) fn adopt(
        &mut self,
        loaded: Loaded,
        touched: &HashSet<ServiceKey>,
        again: Again,
    ) -> Adopted {
        let read = lock(&self.loader).keep(&loaded);
        self.edited(&read, &loaded.rejected);
        if std::mem::take(&mut self.is_refused) {
            self.news.of_all();
        }
        self.journal.note_texts(read);
        let Loaded { config, rejected, changes, .. } = loaded;
        let before = std::mem::replace(&mut self.config, config);
        let is_changed = match changes {
            Changes::Any { watch } => self.take_all(&before, watch, again),
            Changes::Services { services, watch } => {
                self.take_some(services, watch, touched, again)
            }
        };
        let is_rejected_anew = self.reject(rejected);
        self.warn();
        Adopted { is_changed, is_rejected_anew }
    }

    /// Takes a configuration in which anything may have changed. Returns whether there is something
    /// to publish.
    fn take_all(&mut self, before: &Config, watch: Vec<Followed>, again: Again) -> bool {
        self.rejected_watch.clear();
        let same = self.config.is_served_like(before);
        self.watch = watch;
        self.following = Following::Anew;
        let is_changed = self.versions.renew(&self.config, again) || !same;
        if is_changed {
            self.stale = Stale::All;
        }
        is_changed
    }

    /// Takes a configuration in which only `services` may have changed. Returns whether there is
    /// something to publish.
    fn take_some(
        &mut self,
        services: Vec<Changed>,
        mut watch: Vec<Followed>,
        touched: &HashSet<ServiceKey>,
        again: Again,
    ) -> bool {
        let live = self.live.load();
        let mut same = true;
        let mut all: Vec<(ServiceKey, Option<Arc<Service>>)> = Vec::new();
        for Changed { environment, name, now } in services {
            let key = ServiceKey { environment, service: name };
            let is_same = live.get(&key).map(|entry| &entry.declared) == now.as_ref();
            same &= is_same;
            if !is_same {
                self.stale.declare(key.clone(), now.clone());
            }
            all.push((key, now));
        }
        self.watch.extend(watch.iter().cloned());
        let files = all.iter().filter_map(|(_, now)| now.as_ref()).flat_map(|now| files_of(now));
        let new = files.filter(|file| self.versions.users(file).is_none());
        watch.extend(new.map(|file| Followed::Path(file.to_owned())));
        if let Following::More(more) = &mut self.following {
            more.extend(watch);
        }
        let known: HashSet<_> = all.iter().map(|(key, _)| key.clone()).collect();
        let unsettled = self.versions.take_failed();
        for key in touched.union(&unsettled).filter(|key| !known.contains(*key)) {
            all.push((key.clone(), declared_in(&live, key)));
        }
        let renewing = all.iter().map(|(key, now)| (key, now.as_ref()));
        let renewed = self.versions.renew_some(renewing, again);
        if renewed {
            for (key, now) in all {
                self.stale.touch(&key, || now);
            }
        }
        renewed || !same
    }

    /// Handles a main file that is wrong or cannot be read now: what is served stays, except for
    /// versions that service files close.
    pub(super) async fn refuse(&mut self, rejected: Rejected, again: Again) -> Reload {
        let Rejected { report, is_transient, rest, watch } = rejected;
        self.unread = Unread::of(&report);
        let is_closed = self.close(&report, rest.as_deref());
        let outcome = match is_transient {
            true => Outcome::Postponed,
            false => {
                let known = self.reloads.last().and_then(|last| last.report.clone());
                if again != Again::Transient || known.as_ref() != Some(&report) {
                    tracing::error!(target: LOG, "configuration rejected, nothing changed:\n{report}");
                }
                self.telemetry.rejected(self.wrong_files() + 1);
                self.news.of_all();
                self.is_refused = true;
                Outcome::Rejected
            }
        };
        self.rejected_watch = watch;
        self.following = Following::Anew;
        // Retries, rotated secrets and closed versions do not depend on the main file, so they are
        // handled now.
        self.versions.try_again();
        let is_rotated = self.has_stale_secret();
        if is_closed || is_rotated {
            self.publish().await;
        }
        Reload { report: Some(report), ..self.came_of(outcome, 0) }
    }

    /// Closes the versions that valid service files close, although the main file is wrong: closing
    /// must not wait for a correction elsewhere. Returns whether any version was closed.
    fn close(&mut self, report: &Report, rest: Option<&Config>) -> bool {
        let is_right = |service: &Service| report.problems.iter().all(|it| it.file != service.file);
        let Some(closed) = rest.and_then(|rest| self.config.closing(rest, is_right)) else {
            return false;
        };
        tracing::warn!(target: LOG, "versions that service files close are closed nevertheless");
        self.config = Arc::new(closed);
        self.stale = Stale::All;
        true
    }

    /// Takes note of files that say something else than before, be it served or not.
    fn edited(&mut self, right: &[GoodFile], wrong: &[Rejection]) {
        let edited = lock(&self.loader).texts().take_edited();
        if edited.is_empty() {
            return;
        }
        for file in right.iter().filter(|file| edited.contains(&file.path)) {
            self.news.of_named(&file.environment, Some(&file.service));
        }
        for Rejection { environment, serves, file, .. } in wrong {
            if edited.contains(file) {
                self.news.of_named(environment, serves.as_ref());
            }
        }
    }

    /// Reports the service files that are wrong. Returns whether any of these
    /// rejections is new.
    pub(super) fn reject(&mut self, rejected: Vec<Rejection>) -> bool {
        let before = self.reloads.rejected();
        let mut anew = false;
        let wrong = rejected.iter().filter(|rejection| !rejection.report.is_transient());
        for rejection in wrong.filter(|rejection| !before.contains(rejection)) {
            anew = true;
            let Rejection { environment, serves, file, report } = rejection;
            let meanwhile = match serves {
                Some(name) if self.serves_nothing(environment, name) => format!(
                    "{environment}/{name} goes by what its file said before, and nothing of it is served"
                ),
                Some(name) => format!("{environment}/{name} is served as before"),
                None => format!("the service of {} in {environment} is not served", file.display()),
            };
            tracing::error!(target: LOG, "rejected; {meanwhile}:\n{report}");
        }
        let is_same = |one: &&Rejection| before.contains(one) && rejected.contains(one);
        for Rejection { environment, serves, .. } in
            before.iter().chain(&rejected).filter(|one| !is_same(one))
        {
            self.news.of_named(environment, serves.as_ref());
        }
        self.unread = Unread::of_files(&rejected);
        self.reloads.reject(rejected);
        self.telemetry.rejected(self.wrong_files());
        anew
    }

    /// Whether requests for a service that is published get 503.
    fn serves_nothing(&self, environment: &EnvironmentName, service: &ServiceName) -> bool {
        let key = ServiceKey { environment: environment.clone(), service: service.clone() };
        self.live.load().get(&key).is_some_and(|entry| {
            !entry.decider.takes_traffic() && entry.decider.stand_in().is_none()
        })
    }

    /// How many service files are wrong, not counting those with transient errors.
    fn wrong_files(&self) -> usize {
        let rejected = self.reloads.rejected();
        rejected.iter().filter(|rejection| !rejection.report.is_transient()).count()
    }

    /// Logs the warnings of the configuration when they change: settings that are valid and
    /// probably a mistake.
    pub(super) fn warn(&mut self) {
        let warnings = &self.config.warnings;
        if *self.reloads.warnings() == *warnings {
            return;
        }
        if !warnings.is_empty() {
            tracing::warn!(target: LOG, "served as written, but probably not as meant:\n{}", Warnings(warnings));
        }
        self.reloads.warn(warnings.clone());
        self.news.of_all();
    }

    pub(super) fn came_of(&self, outcome: Outcome, read: usize) -> Reload {
        let rejected = self.reloads.rejected();
        Reload {
            at: SystemTime::now(),
            outcome,
            generation: self.live.load().generation,
            read,
            restart: restart_changes(&self.started_with, &self.config),
            report: (!rejected.is_empty()).then(|| Rejection::summary(&rejected)),
        }
    }
}

impl Unread {
    fn of(report: &Report) -> Self {
        let first = report.problems.iter().find(|problem| problem.is_transient);
        let why = first.map(|it| format!("{}: {}; {}", it.file.display(), it.message, it.help));
        Self { files: usize::from(why.is_some()), why: why.unwrap_or_default() }
    }

    fn of_files(rejected: &[Rejection]) -> Self {
        let transient = rejected.iter().filter(|rejection| rejection.report.may_pass());
        let count = transient.clone().count();
        transient
            .map(|it| Self::of(&it.report))
            .next()
            .map_or_else(Self::default, |first| Self { files: count, ..first })
    }
}

/// Every file that a service needs: components and secrets.
fn files_of(service: &Service) -> impl Iterator<Item = &Path> {
    service.versions.iter().flat_map(VersionSpec::files).chain(service.policy.file())
}
