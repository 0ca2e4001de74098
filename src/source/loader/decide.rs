//! Deciding: which state of each file is served when files claim the same names, and the
//! configuration that results.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::file::File;
use super::layout::{Area, Layout};
use super::look::mark;
use super::{Changed, Key, Loader, Rejected, Served, in_order};
use crate::config::{
    Config, Draft, Environment, EnvironmentName, Main, Origin, Problem, Report, Service,
    ServiceName, arbitrate,
};

impl Loader {
    /// Decides which state is served of each file that a change concerns. Returns these files, in
    /// the order in which files are read.
    pub(super) fn decide(&mut self, layout: &Layout) -> Vec<Key> {
        let concerned = match self.touched.len() * 2 > self.files.len() {
            true => self.files.keys().cloned().collect(),
            false => self.concerned(),
        };
        let concerned = in_order(layout, concerned);
        let there = |key: &&Key| !self.gone.contains(*key);
        let contenders = concerned.iter().filter(there).filter_map(|key| {
            let file = self.files.get(key)?;
            Some((key.clone(), file.contender(&key.environment, file.as_valid())))
        });
        let (keys, contenders): (Vec<_>, Vec<_>) = contenders.unzip();
        let verdicts = arbitrate(&contenders);
        for (key, verdict) in keys.iter().zip(verdicts) {
            let Some(file) = self.files.get_mut(key) else { continue };
            file.decide(verdict);
            let is_warned = file.state().is_some_and(|draft| !draft.warnings.is_empty());
            mark(&mut self.wrong, key, file.is_wrong());
            mark(&mut self.warned, key, is_warned);
        }
        for key in &self.gone {
            self.wrong.remove(key);
            self.warned.remove(key);
        }
        concerned
    }

    /// The changed files, and all files whose names depend on theirs.
    fn concerned(&self) -> HashSet<Key> {
        let file = |key: &Key| self.files.get(key);
        let names = self.touched.iter().flat_map(|key| self.claimants.names(key, file(key)));
        let mut concerned = self.claimants.around(names, file);
        // Includes files that claim nothing.
        concerned.extend(self.touched.iter().cloned());
        concerned
    }

    /// The problems of the main file and of all service files. The names that a wrong file claims
    /// count.
    pub(super) fn wrong(&self, layout: &Layout, mut problems: Vec<Problem>) -> Rejected {
        let is_transient =
            !problems.is_empty() && problems.iter().all(|problem| problem.is_transient);
        let files = || layout.keys().filter_map(|key| Some((key, self.files.get(key)?)));
        let contenders =
            files().map(|(key, file)| file.contender(&key.environment, file.as_written()));
        let verdicts = arbitrate(&contenders.collect::<Vec<_>>());
        for ((_, file), verdict) in files().zip(verdicts) {
            problems.extend(file.problems.iter().cloned().chain(verdict.problems));
        }
        let rest = Some(Box::new(self.whole(layout, File::as_written)));
        Rejected { report: Report::new(problems), is_transient, rest, watch: layout.watch() }
    }

    /// The whole configuration, with one state of each file.
    pub(super) fn whole(
        &self,
        layout: &Layout,
        state: impl for<'a> Fn(&'a File) -> Option<&'a Arc<Draft>>,
    ) -> Config {
        let drafts = |area: &Area| -> Vec<&Arc<Draft>> {
            let files = area.keys.iter().filter_map(|key| self.files.get(key));
            files.filter_map(&state).collect()
        };
        let drafts: Vec<_> = layout.areas.iter().map(drafts).collect();
        let warnings = warnings(drafts.iter().flatten().copied());
        let services =
            |drafts: &Vec<&Arc<Draft>>| drafts.iter().map(|draft| draft.service.clone()).collect();
        configured(layout, drafts.iter().map(services), warnings)
    }

    /// The kept configuration with the newly decided state of some files, and these states.
    pub(super) fn patched(
        &self,
        layout: &Layout,
        kept: &Config,
        decided: &[Key],
    ) -> (Config, Vec<Served>) {
        let mut services: Vec<_> = kept.environments.iter().map(|it| it.services.clone()).collect();
        let mut served = Vec::with_capacity(decided.len());
        for key in decided {
            let state = self.files.get(key).filter(|_| !self.gone.contains(key));
            let state = state.and_then(File::state).cloned();
            if let Some(services) = services.get_mut(layout.position(key)) {
                let place = services.binary_search_by(|it| it.file.cmp(&key.path));
                let now = state.iter().map(|draft| draft.service.clone());
                let (Ok(start) | Err(start)) = place;
                services.splice(start..start + usize::from(place.is_ok()), now);
            }
            served.push((key.clone(), state));
        }
        let warned = in_order(layout, self.warned.iter().cloned());
        let drafts = warned.iter().filter_map(|key| self.files.get(key)?.state());
        (configured(layout, services.into_iter(), warnings(drafts)), served)
    }

    /// The services that these files declare, or declared before.
    pub(super) fn changed(&self, decided: &[Key]) -> Vec<Changed> {
        let mut changed: HashMap<(&EnvironmentName, &ServiceName), Option<&Arc<Service>>> =
            HashMap::new();
        for key in decided {
            let Some(file) = self.files.get(key) else { continue };
            if let Some(was) = &file.good {
                changed.entry((&key.environment, &was.service.name)).or_default();
            }
            if let Some(now) = file.state().filter(|_| !self.gone.contains(key)) {
                changed.insert((&key.environment, &now.service.name), Some(&now.service));
            }
        }
        let changed = changed.into_iter().map(|((environment, name), now)| Changed {
            environment: environment.clone(),
            name: name.clone(),
            now: now.cloned(),
        });
        changed.collect()
    }
}

fn configured(
    layout: &Layout,
    services: impl Iterator<Item = Vec<Arc<Service>>>,
    of_services: Vec<Problem>,
) -> Config {
    let Main { server, admin, state, components, mut warnings, .. } = layout.main.clone();
    warnings.extend(of_services);
    let environments = layout.areas.iter().zip(services).map(|(area, services)| Environment {
        name: area.plan.name.clone(),
        domain: area.plan.domain.clone(),
        services,
    });
    let environments: Vec<Environment> = environments.collect();
    warnings.extend(unknown_services(&environments));
    Config { server, admin, state, components, environments, warnings }
}

/// Warns of services that guests may call and that nobody declares. They may be declared later.
fn unknown_services(environments: &[Environment]) -> Vec<Problem> {
    let is_declared = |environment: &EnvironmentName, name: &ServiceName| {
        let own = environments.iter().filter(|it| it.name == *environment);
        own.flat_map(|it| &it.services).any(|service| service.name == *name)
    };
    let mut warnings = Vec::new();
    for Environment { name: own, services, .. } in environments {
        for (service, spec) in
            services.iter().flat_map(|it| it.versions.iter().map(move |spec| (it, spec)))
        {
            for origin in spec.guest().iter().flat_map(|guest| &guest.outbound) {
                let Origin::Service { environment, name } = origin else { continue };
                if !is_declared(environment.as_ref().unwrap_or(own), name) {
                    let message = format!(
                        "{} of {} may call `{origin}`, which no file declares",
                        spec.name, service.name
                    );
                    let help = "declare the service, or correct its name";
                    warnings.push(spec.place.problem(&service.file, message, help));
                }
            }
        }
    }
    warnings
}

/// The warnings of all drafts; those of a file that two environments share are listed once.
fn warnings<'a>(drafts: impl Iterator<Item = &'a Arc<Draft>>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let all = drafts.flat_map(|draft| &draft.warnings);
    all.filter(|warning| seen.insert(*warning)).cloned().collect()
}
