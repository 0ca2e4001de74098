//! `watershed status`: what a running process serves, and how each version does. `view` lays the document out, `watch`
//! shows it again and again.

mod figures;
mod finding;
mod grid;
mod page;
mod screen;
mod view;
mod watch;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use super::common::{Common, write_json};
use super::json::{write_failed_line, write_json_line};
use super::process::Process;
use super::select::{SelectError, environment_among, service_among};
use super::{CliError, complete};
use crate::api::{EnvironmentDocument, StatusDocument, StatusQuery};
use crate::config::{AdminSettings, Problem};
use page::Page;
pub(super) use page::{cut, width};
use screen::Screen;
pub(super) use screen::columns;

/// The shortest and the longest time between two looks, in seconds.
const PERIOD_MIN: f64 = 0.1;
const PERIOD_MAX: f64 = 86_400.0;

const EXAMPLES: &str = "\
Examples:
  watershed status                                problems first, then the rest
  watershed status greeter --watch                one service with every detail
  watershed status --admin http://127.0.0.1:9090  of that process
  watershed status --json |
    jq -r '.environments[].services[] | select(.held) | .name'

SHARE is `now → declared` where they differ. SINCE PUBLISH is the share of all
requests, whatever decided, since a publish last changed the service's traffic.
LAST MINUTE is the same for the last minute of that time. Both are told from 20
requests on. A `!` before a share says that the version is drawn more or less
often than chance explains. SINCE START counts from the start of the process,
where that publish was before it. REQ/S (from 5 seconds on), ERRORS, P50 and P99 are
of the last minute, or since that publish if it is shorter.

The text is as wide as the terminal, and else 80 columns or COLUMNS. --watch
draws in one place on a terminal, and elsewhere prints one text after the other;
with --json, one object a line.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Show this service only, with every detail.
    #[arg(add = complete::services())]
    service: Option<String>,
    #[command(flatten)]
    common: Common,
    /// Show it again every SECONDS, until Ctrl-C [default: 2]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
          default_missing_value = "2", value_parser = period)]
    watch: Option<Duration>,
}

/// What is asked of which process.
#[derive(Debug)]
struct Question {
    process: Process,
    environment: Option<String>,
    service: Option<String>,
}

pub(super) fn status(config: &Path, arguments: &Arguments) -> Result<ExitCode, CliError> {
    let Arguments { service, common, watch } = arguments;
    let process = common.process(config).inspect_err(|error| {
        if let (CliError::Config(_), false) = (error, common.json) {
            let listen = AdminSettings::default().listen;
            let other = format!("`watershed status --admin http://{listen}`");
            // The error itself follows, so it does not matter whether somebody reads this.
            writeln!(std::io::stderr(), "a running process is asked without the files by {other}")
                .ok();
        }
    })?;
    let (environment, service) = (common.environment.clone(), service.clone());
    let question = Question { process, environment, service };
    let document = question.ask()?;
    let mut screen = Screen::new();
    match watch {
        Some(period) if common.json => follow_json(&question, document, *period)?,
        Some(period) if screen.is_terminal() => watch::draw(question, document, *period)?,
        Some(period) => follow(&question, &document, *period, &mut screen)?,
        None if common.json => write_json(&mut std::io::stdout().lock(), &document)?,
        None => screen.print(&question.page(&document, &screen))?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Question {
    fn ask(&self) -> Result<StatusDocument, CliError> {
        let document: StatusDocument = self.process.get(&StatusQuery::default().path())?;
        Ok(narrow(document, self.environment.as_deref(), self.service.as_deref())?)
    }

    fn url(&self) -> &str {
        self.process.url()
    }

    fn page(&self, document: &StatusDocument, screen: &Screen) -> Page {
        view::page(document, self.url(), screen.columns())
    }
}

/// Prints one page after the other. A process that does not answer is asked again: it may be started anew.
fn follow(
    question: &Question,
    first: &StatusDocument,
    period: Duration,
    screen: &mut Screen,
) -> Result<(), CliError> {
    screen.print(&question.page(first, screen))?;
    loop {
        thread::sleep(period);
        let page = match question.ask() {
            Ok(document) => question.page(&document, screen),
            Err(error) => {
                let mut page = Page::default();
                error.text().lines().for_each(|line| page.push(page::WRONG, line));
                page
            }
        };
        screen.print(&page)?;
    }
}

/// Prints one object a line. A process that does not answer is asked again.
fn follow_json(
    question: &Question,
    first: StatusDocument,
    period: Duration,
) -> Result<(), CliError> {
    let mut answer = Ok(first);
    loop {
        let mut out = std::io::stdout().lock();
        match answer {
            Ok(document) => write_json_line(&mut out, &document)?,
            Err(error) => write_failed_line(&mut out, &error)?,
        }
        out.flush()?;
        drop(out);
        thread::sleep(period);
        answer = question.ask();
    }
}

/// The time between two looks.
fn period(seconds: &str) -> Result<Duration, String> {
    let range = PERIOD_MIN..=PERIOD_MAX;
    let number = seconds.parse().ok().filter(|number| range.contains(number));
    let number = number
        .ok_or(format!("a number of seconds from {PERIOD_MIN} to {PERIOD_MAX} is expected"))?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
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
            let rejected = document.rejected.iter();
            let wrong = rejected.filter(|it| environment.is_none_or(|name| it.environment == name));
            let wrong = wrong.map(|rejection| Path::new(&rejection.file));
            let found = service_among(environments, environment, name);
            let (chosen, service) = found.map_err(|error| error.beside(wrong))?;
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
