//! `watershed status`: what a running process serves, and how each version does.

mod text;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anstream::ColorChoice;

use super::common::{Common, write_json};
use super::process::Process;
use super::select::{SelectError, environment_among, service_among};
use super::{CliError, complete};
use crate::api::{EnvironmentDocument, StatusDocument, StatusQuery};
use crate::config::Problem;
use text::Text;

/// How often `--watch` refreshes.
const PERIOD: Duration = Duration::from_secs(2);

/// Moves to the upper left corner, without clearing what is about to be overwritten.
const HOME: &str = "\x1b[H";
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

const EXAMPLES: &str = "\
Examples:
  watershed status                                everything that is served
  watershed status greeter --watch                one service, until Ctrl-C
  watershed status --admin http://127.0.0.1:9090  of that process
  watershed status --json |
    jq -r '.environments[].services[] | select(.held) | .name'

REQ/S, ERRORS, OBSERVED, P50 and P99 are of the last minute. SHARE is `now → declared` where they differ.
OBSERVED is the share of all requests, those included that were not decided at random. A `!` before it says
that a version is drawn more or less often than chance explains; a line below the table says how often.
--json has the draws of the last minute, the last hour and since the publish.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Show this service only.
    #[arg(add = complete::services())]
    service: Option<String>,
    #[command(flatten)]
    common: Common,
    /// Refresh every two seconds, until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

pub(super) fn status(config: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let process = arguments.common.process(config)?;
    let document = arguments.ask(&process)?;
    let mut screen = Screen::new(arguments.watch);
    arguments.show(&document, &process, &mut screen)?;
    if arguments.watch {
        arguments.follow(&process, &mut screen)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn ask(&self, process: &Process) -> Result<StatusDocument, CliError> {
        let document: StatusDocument = process.get(&StatusQuery::default().path())?;
        let environment = self.common.environment.as_deref();
        Ok(narrow(document, environment, self.service.as_deref())?)
    }

    /// Refreshes until something fails for good.
    fn follow(&self, process: &Process, screen: &mut Screen) -> Result<(), CliError> {
        loop {
            std::thread::sleep(PERIOD);
            match self.ask(process) {
                Ok(document) => self.show(&document, process, screen)?,
                // The process may be started again, or the service may be declared again.
                Err(error) if !self.common.json => screen.show(&format!("{}\n", error.text()))?,
                Err(error) => return Err(error),
            }
        }
    }

    fn show(
        &self,
        document: &StatusDocument,
        process: &Process,
        screen: &mut Screen,
    ) -> Result<(), CliError> {
        if self.common.json {
            write_json(&mut std::io::stdout().lock(), document)?;
        } else {
            screen.show(&Text { document, url: process.url() }.to_string())?;
        }
        Ok(())
    }
}

/// The parts of a document that are about an environment or a service.
fn narrow(
    mut document: StatusDocument,
    environment: Option<&str>,
    service: Option<&str>,
) -> Result<StatusDocument, SelectError> {
    let environments = &document.environments;
    let (chosen, services) = match (environment, service) {
        (None, None) => return Ok(document),
        (Some(name), None) => {
            let chosen = environment_among(environments, name)?;
            (chosen, chosen.services.clone())
        }
        (_, Some(name)) => {
            let (chosen, service) = service_among(environments, environment, name)?;
            (chosen, vec![service.clone()])
        }
    };
    let (name, domain) = (chosen.name.clone(), chosen.domain.clone());
    document.rejected.retain(|rejection| {
        rejection.environment == name
            && service.is_none_or(|it| rejection.serves.as_deref() == Some(it))
    });
    let is_own = |warning: &Problem| {
        services.iter().any(|service| warning.file.as_os_str() == service.file.as_str())
    };
    document.warnings.retain(is_own);
    document.environments = vec![EnvironmentDocument { name, domain, services }];
    Ok(document)
}

/// Where text is shown, once or repeatedly.
struct Screen {
    /// In one place, by moving the cursor.
    redraws: bool,
    /// Whether the output may have colours.
    colours: bool,
    has_shown: bool,
}

impl Screen {
    fn new(again_and_again: bool) -> Self {
        let out = std::io::stdout();
        let redraws = again_and_again && out.is_terminal();
        let colours = anstream::AutoStream::choice(&out) != ColorChoice::Never;
        Self { redraws, colours, has_shown: false }
    }

    fn show(&mut self, text: &str) -> Result<(), std::io::Error> {
        let text = match self.colours {
            true => text.to_owned(),
            false => anstream::adapter::strip_str(text).to_string(),
        };
        let mut out = std::io::stdout().lock();
        if self.redraws {
            let text = text.replace('\n', &format!("{CLEAR_TO_END_OF_LINE}\n"));
            write!(out, "{HOME}{text}{CLEAR_BELOW}")?;
        } else {
            let separator = if self.has_shown { "\n---\n\n" } else { "" };
            write!(out, "{separator}{text}")?;
        }
        self.has_shown = true;
        out.flush()
    }
}
