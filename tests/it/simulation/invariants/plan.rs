//! What must hold of what is told before a publish: `plan` and the commands say what is served then.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use watershed::admin::description;
use watershed::api::{Description, Plan, ServiceDescription};
use watershed::config::{Percent, Service, Traffic, VersionSpec};
use watershed::policy::{Case, Standing};
use watershed::versions::{ReadyVersion, ServiceEntry, Snapshot};

use super::{One, Publish, Seen, ensure, hundredths, see, shares};

const ROOT: &str = "/site";

impl One<'_> {
    /// What `plan` says of these files, asked of the process before, is what is served now; asked of
    /// the process now, there is nothing to do.
    pub(super) fn plan_tells_what_is_served(&self, seen: &mut Seen) -> Result<(), String> {
        let Publish { before, after, config, .. } = self.publish;
        if let Some(last) = self.before.filter(|last| is_described(last, self.service)) {
            see(seen, "a plan of what is served next");
            let planned = self.planned(&description(before, Path::new(ROOT), config));
            let told = planned.versions.iter().map(|it| (it.name.clone(), percent(it.share)));
            let told = hundredths(told);
            ensure!(told == self.shares, "planned {told:?}, served {:?}", self.shares);
            // A service that nothing changed was described when what is served was another.
            let is_same = Arc::ptr_eq(last, self.entry);
            let (planned, held) = (&planned.held, &self.entry.held);
            ensure!(is_same || planned == held, "planned as held: {planned:?}, served: {held:?}");
        }
        if is_described(self.entry, self.service) {
            let served = description(after, Path::new(ROOT), config);
            let planned = self.described(&served);
            let plan = Plan::between(&served, &planned);
            let change = plan.services.iter().find(|it| it.service == self.service.name.as_str());
            // A process that serves nothing yet takes the latest normal version, and does not say that
            // a later one is being made.
            let is_first = self.entry.held.is_none()
                && self.service.traffic == Traffic::Latest
                && self.standings.contains(&Standing::Creating);
            let change = change.filter(|it| !is_first || it.waits.is_none());
            ensure!(change.is_none(), "what is served is planned to change: {change:#?}");
        }
        Ok(())
    }

    /// The description of the files, for a process that serves this.
    fn described(&self, served: &Description) -> Description {
        let services = &self.publish.config.environments[0].services;
        let standing = |spec: &VersionSpec| {
            // Versions of two services may be alike in every key, and stand alike or not.
            let index = self.service.versions.iter().position(|it| std::ptr::eq(it, spec));
            match index {
                Some(index) => self.standings[index].clone(),
                None => {
                    let other = services
                        .iter()
                        .find(|it| it.versions.iter().any(|other| std::ptr::eq(other, spec)));
                    let other = other.unwrap();
                    let index = other.versions.iter().position(|it| std::ptr::eq(it, spec));
                    self.publish.standings[other.name.as_str()][index.unwrap()].clone()
                }
            }
        };
        Description::of_files(self.publish.config, Path::new(ROOT), Some(served), standing)
    }

    fn planned(&self, served: &Description) -> ServiceDescription {
        let described = self.described(served);
        let mut services = described.environments.into_iter().flat_map(|it| it.services);
        services.find(|it| it.name == self.service.name.as_str()).unwrap()
    }

    /// What the commands take for served where no process runs.
    pub(super) fn a_start_serves_what_commands_say(&self) -> Result<(), String> {
        let Publish { config, statuses, .. } = self.publish;
        let start = Snapshot::after(&Snapshot::default(), config, statuses);
        let started = start.services.iter().find(|it| it.key == self.entry.key).unwrap();
        let case = Case { service: self.service, standings: self.standings, before: None };
        let verdict = case.verdict();
        let told = verdict.shares.iter().map(|(name, it)| (name.to_string(), it.hundredths()));
        let (told, served) = (told.collect::<BTreeMap<_, _>>(), shares(started));
        ensure!(told == served, "a start serves {served:?}, and {told:?} is told");
        ensure!(verdict.held == started.held, "a start is held: {:?}", started.held);
        Ok(())
    }
}

fn percent(share: Percent) -> f64 {
    f64::from(share.hundredths()) / 100.0
}

/// Whether a description tells all of what is served: not which component takes the requests of what
/// is made anew, nor whether a service without any share is so on purpose, nor the environment of
/// what is declared no more.
fn is_described(before: &ServiceEntry, service: &Service) -> bool {
    let is_told = |version: &&Arc<ReadyVersion>| {
        let view = before.versions.iter().find(|view| view.name == version.spec.name);
        let normal = view.and_then(|view| view.status.normal());
        normal.is_some_and(|normal| Arc::ptr_eq(normal, version))
    };
    let shares = before.decider.shares();
    let is_offline = before.held.is_some() && shares.is_empty();
    let of_one = service.quarantine.iter().any(|entry| entry.env.is_some());
    !is_offline && shares.iter().all(|(version, _)| is_told(version)) && !of_one
}
