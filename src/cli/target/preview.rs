//! What an edit would change, before it is made: the plan of `watershed plan` for the text that the edit would write.
//! Nothing is written and no process is told; a process that runs is asked what it serves, and whether the text would be
//! right beside all other files.

use std::path::Path;
use std::process::ExitCode;

use super::{Target, is_as_decided};
use crate::api::{ConfigQuery, Description, ServiceDescription, Settings, Standing};
use crate::cli::common::Common;
use crate::cli::files::Files;
use crate::cli::plan::{self, Beside, Place};
use crate::cli::process::{Process, ProcessError};
use crate::cli::site::Site;
use crate::cli::{CliError, components};
use crate::config::{Digest, VersionSpec};
use crate::delivery::{self, standing};
use crate::rollout::{Edit, ServiceView};
use crate::source::{Proposal, ServiceFile};

/// The plan of an edit.
#[derive(Debug)]
pub struct Preview {
    preview: delivery::Preview,
    /// What is served before, and by which command it would change.
    before: Place,
    after: Place,
}

impl Target {
    /// What the edit of a command would change. What it costs does not depend on the number of services.
    ///
    /// # Errors
    ///
    /// Where the edit would be refused.
    pub fn preview(&mut self, edit: &Edit, command: &str) -> Result<Preview, CliError> {
        let path = self.view.service.file.clone();
        is_as_decided(&self.view, &self.files)?;
        let text = ServiceFile::preview(&path, |text| edit.apply(text))?;
        let Self { files, process, view, .. } = self;
        files.check(process.as_ref(), Proposal { path: &path, is_there: true, text: &text })?;
        let after = files.with_text(&view.environment, &path, &text)?;
        let (before, name) = self.described()?;
        let (root, stands) =
            (self.files.directory(), |spec: &VersionSpec| self.standing(spec, edit));
        let preview = delivery::Preview::of(&self.view, root, &before, &after, stands);
        Ok(Preview { preview, before: name, after: Place::command(command) })
    }

    /// What is served now, or would be by a start, and by whom.
    fn described(&self) -> Result<(Description, Place), CliError> {
        if let Some(process) = &self.process {
            return Ok(self.described_by(process)?);
        }
        let view = &self.view;
        let standing = |spec: &VersionSpec| self.standing(spec, &Edit::default());
        let root = self.files.directory();
        let mut description = Description::new(root, Settings::new(), Settings::new(), None);
        let service = ServiceDescription::declared(root, &view.service, None, standing);
        description.push(view.environment.as_str(), service);
        Ok((description, Place::files(&view.service.file)))
    }

    /// What a process serves of the service.
    fn described_by(&self, process: &Process) -> Result<(Description, Place), ProcessError> {
        let ServiceView { environment, service, .. } = &self.view;
        let query = ConfigQuery {
            environment: Some(environment.to_string()),
            service: Some(service.name.to_string()),
        };
        match plan::described(process, &query) {
            // It may not serve the service yet.
            Err(error) if error.is_unknown() => plan::described(process, &ConfigQuery::default()),
            described => described,
        }
    }

    /// The same preview without compilations of what versions of other services are made of already. Asks the process
    /// for all of them, so only who shows the preview does.
    ///
    /// # Errors
    ///
    /// Where the process does not answer.
    pub fn beside_others(&self, mut preview: Preview) -> Result<Preview, CliError> {
        let compiles = !preview.preview.plan.compile.is_empty();
        if let Some(process) = self.process.as_ref().filter(|_| compiles) {
            let (all, _) = plan::described(process, &ConfigQuery::default())?;
            preview.preview.without_made(&all);
        }
        Ok(preview)
    }

    fn standing(&self, spec: &VersionSpec, edit: &Edit) -> Standing {
        let by_files = || components::standing(&self.view.service.name, spec, &self.elsewhere);
        standing(&self.view, edit, spec, by_files)
    }
}

impl Preview {
    /// What the file of a new service would change, at `place` in the environment that is given or is the only one. Its
    /// version is made of the component with `digest`.
    ///
    /// # Errors
    ///
    /// Where the file would be refused.
    pub fn of_new(
        site: Site,
        common: &Common,
        place: &Path,
        text: &str,
        digest: Digest,
        command: &str,
    ) -> Result<Self, CliError> {
        let environment = site.environment(common.environment.as_deref())?.name.clone();
        let Site { loader, loaded: _, process } = site;
        let mut files = Files::of(loader);
        files.check(process.as_ref(), Proposal { path: place, is_there: false, text })?;
        let service = files.with_text(&environment, place, text)?;
        let root = files.directory();
        let mut preview = delivery::Preview::of_new(&environment, root, &service, digest);
        let before = match &process {
            Some(process) => {
                let (before, name) = plan::described(process, &ConfigQuery::default())?;
                preview.without_made(&before);
                name
            }
            None => Place::files(root),
        };
        Ok(Self { preview, before, after: Place::command(command) })
    }

    /// As `watershed plan` prints it.
    pub fn text(&self) -> String {
        plan::text(&self.preview.plan)
    }

    /// Prints it for `--dry-run`. The exit code says whether there is something to do.
    pub fn print(&self, json: bool) -> Result<ExitCode, CliError> {
        self.print_beside(Beside::default(), json)
    }

    /// The same, with what a script is told beside it.
    pub fn print_beside(&self, beside: Beside<'_>, json: bool) -> Result<ExitCode, CliError> {
        let Self { preview, before, after } = self;
        plan::print(&preview.plan, before, after, beside, json)
    }

    /// Whether it takes traffic from somebody: see [`delivery::Preview::takes_away`].
    pub fn takes_away(&self) -> bool {
        self.preview.takes_away()
    }
}
