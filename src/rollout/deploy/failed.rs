//! A deployment that could not be seen through: what becomes of the version, and what is said of it.

use super::super::control::{Control, Edit, Edited, Note, PutBack, Step};
use super::super::delete::may_go;
use super::super::refusal::Refusal;
use super::{Deployment, Portion, Run};
use crate::api::Fault;
use crate::code::Coded as _;
use crate::config::{VersionSpec, show_duration};

impl<C: Control> Run<'_, C> {
    /// Says that the version is in error, and takes it out of the file again, so that it does not stay
    /// there for ever. It stays where that is asked for, and where the process goes on trying.
    pub(super) fn fail(mut self, edited: Edited<C::Saved>, fault: Fault) -> C::Error {
        let Deployment { replaces, creates, keeps_failed, .. } = self.deployment;
        let (service, version) = (self.view().service.name.clone(), self.name().clone());
        let has_process = self.view().has_process();
        let may_pass = fault.may_pass && !*replaces && !*creates;
        let left = match has_process && (*keeps_failed || may_pass) {
            true if *creates => self.as_it_stands(),
            true => self.declared_without_traffic(),
            false => self.take_out(edited, &fault),
        };
        let why = Refusal::InError { service, version, fault: fault.clone() }.told();
        Refusal::HalfDone { why, fault: Some(Box::new(fault)), left }.into()
    }

    /// Takes the version out of the file, or puts back what it replaced. The history keeps its error.
    fn take_out(&mut self, edited: Edited<C::Saved>, fault: &Fault) -> String {
        let Deployment { replaces, creates, keeps_failed, note, .. } = self.deployment;
        let note = note.failed(self.name(), fault);
        let back = self.control.put_back(edited, note.clone());
        match back {
            // Others have edited the file meanwhile, and keep what they wrote.
            PutBack::Failed(error) if !*replaces && !*creates => self.remove(&error, note),
            PutBack::Done if *keeps_failed && !*creates => self.declare_on_hold(),
            back => self.words(&back),
        }
    }

    /// Removes the version from a file that others have edited meanwhile.
    fn remove(&mut self, why: &C::Error, note: Note) -> String {
        let name = self.name().clone();
        let removed = self.control.reread().and_then(|()| {
            let spec = self.view().version(&name);
            let is_ours =
                |spec: &VersionSpec| spec.declared_digest() == Some(self.deployment.version.digest);
            if !spec.is_some_and(is_ours) {
                return Ok(false);
            }
            may_go(self.view(), &name)?;
            self.control.edit(&Edit(vec![Step::Remove(name.clone())]), note).map(|_| true)
        });
        match removed {
            Ok(true) => self.taken_out(),
            Ok(false) => format!("the file could not be put back: {why}"),
            Err(error) => {
                format!("the file could not be put back: {why}; {name} stays declared: {error}")
            }
        }
    }

    /// Where no process runs: declares a version that failed once more, without traffic.
    fn declare_on_hold(&mut self) -> String {
        self.portion = Portion::Hold;
        match self.control.reread().and_then(|()| self.declare()) {
            Ok(_) => self.declared_without_traffic(),
            Err(error) => format!("nothing was changed: {error}"),
        }
    }

    pub(super) fn words(&self, back: &PutBack<C::Error>) -> String {
        match self.deployment {
            Deployment { replaces: true, .. } => {
                back.words(&format!("{} is again what it was", self.name()))
            }
            Deployment { creates: true, .. } => back.words("nothing was changed"),
            _ if !self.view().has_process() => back.words("nothing was changed"),
            _ => back.words(&self.taken_out()),
        }
    }

    fn taken_out(&self) -> String {
        let (service, name) = (&self.view().service.name, self.name());
        let what = match self.deployment.version.component() {
            Some(_) => "correct the component and deploy it again",
            None => "deploy it again once that is right",
        };
        format!(
            "the traffic is as it was, and {name} is taken out of the file again: {what}; \
             `watershed history {service}` keeps the error, and `--keep-failed` the version"
        )
    }

    /// What the file says where the deployment could not be seen through, and a process runs.
    pub(super) fn as_it_stands(&self) -> String {
        let (service, name) = (&self.view().service.name, self.name());
        let says = format!("`watershed status {service}` says how it stands");
        match self.portion {
            _ if self.deployment.replaces => format!("{name} stays replaced in the file: {says}"),
            Portion::All if self.deployment.creates || self.is_latest() => {
                format!("{name} stays declared, and gets everything once it is normal: {says}")
            }
            _ => self.declared_without_traffic(),
        }
    }

    fn declared_without_traffic(&self) -> String {
        let (service, name) = (&self.view().service.name, self.name());
        format!(
            "the traffic is as it was; {name} stays declared without any: `--replace` it, or \
             `watershed delete {service} {name}`"
        )
    }

    pub(super) fn too_slow(&self) -> C::Error {
        let (service, version) = (self.view().service.name.clone(), self.name().clone());
        let patience = show_duration(self.deployment.patience);
        Refusal::TooSlow { service, version, patience }.into()
    }
}
