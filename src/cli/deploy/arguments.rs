//! The arguments of `watershed deploy`.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::arguments::{percent, variable};
use crate::cli::common::Common;
use crate::cli::complete;
use crate::cli::consent::Consent;
use crate::config::{ServiceName, TargetAddress, VersionName, parse_duration, parse_target};
use crate::rollout::Portion;

const EXAMPLES: &str = "\
Examples:
  watershed deploy greeter v3 --component target/greeter.wasm --env GREETING=Hi
                                    beside the others, without traffic
  watershed deploy greeter v3 --component greeter.wasm --traffic 10
                                    10 % of the traffic once it is normal
  watershed deploy greeter v3 --component greeter.wasm --traffic all
                                    a full upgrade: all of it, once it is normal
  watershed deploy greeter legacy --upstream 10.0.0.7:9001,10.0.0.8:9001
                                    an HTTP service that runs already
  watershed deploy shop v1 --component shop.wasm --new-service \\
    --domain shop.example.com       a new service

What takes traffic from other versions, or replaces a version that has traffic, asks first, and without
a terminal it refuses unless `--yes`. A dry run does not compile the component.

A connection to each target of an upstream is tried from here. Targets that do not answer are a
warning; where none does, the version takes no traffic from others without `--force`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The service.
    #[arg(add = complete::services())]
    pub service: ServiceName,
    /// The name of the new version: a DNS label without `--`.
    pub version: VersionName,
    /// The WebAssembly component.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath,
          required_unless_present = "upstream", conflicts_with = "upstream")]
    pub component: Option<PathBuf>,
    /// The targets of an HTTP service that serves the version: addresses and ports, or names and ports. With
    /// `--replace`, an upstream keeps its other settings.
    #[arg(long, value_name = "ADDR[,ADDR]", value_delimiter = ',', value_parser = parse_target,
          value_hint = clap::ValueHint::Hostname)]
    pub upstream: Vec<TargetAddress>,
    /// Name the component where it is, instead of copying it into the store of components. A build that overwrites it
    /// then leaves the version without its component.
    #[arg(long, conflicts_with = "upstream")]
    pub in_place: bool,
    /// A variable that the guest sees; may be given more than once. With `--replace` and without `--env`, the version
    /// keeps its variables.
    #[arg(long, value_name = "K=V", value_parser = variable, conflicts_with = "upstream")]
    pub env: Vec<(String, String)>,
    /// A note for people, in the file and in the history.
    #[arg(long, value_name = "TEXT")]
    pub remark: Option<String>,
    /// What the version gets once it is normal: `all`, `hold` (nothing), or a percentage, which the other versions give
    /// up in proportion. A service's first version gets all [default: hold].
    #[arg(long, value_name = "all|hold|PERCENT", conflicts_with = "replace", value_parser = portion, add = complete::portions())]
    pub traffic: Option<Portion>,
    /// Replace the version of this name; put the old one back if the new one does not become normal.
    #[arg(long)]
    pub replace: bool,
    /// Leave a version that cannot become normal in the file, without traffic.
    #[arg(long, conflicts_with = "replace")]
    pub keep_failed: bool,
    /// Create the service: a file of its own beside the others of the environment.
    #[arg(long, conflicts_with = "replace")]
    pub new_service: bool,
    /// A domain of the new service beside its default one; may be given more than once.
    #[arg(long, value_name = "DOMAIN", requires = "new_service")]
    pub domain: Vec<String>,
    /// Give traffic to what is quarantined, and remove its quarantine entry; or to an upstream of which no target answers.
    #[arg(long)]
    pub force: bool,
    /// How long to wait for the version to become normal, such as 30s.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = patience)]
    pub timeout: Duration,
    #[command(flatten)]
    pub consent: Consent,
    #[command(flatten)]
    pub common: Common,
}

/// What a new version should get: `all`, `hold` or a percentage.
fn portion(text: &str) -> Result<Portion, String> {
    match text {
        "all" => Ok(Portion::All),
        "hold" => Ok(Portion::Hold),
        share => percent(share)
            .map(Portion::Share)
            .map_err(|error| format!("{error}; or write `all` or `hold`")),
    }
}

/// A duration such as `30s`.
pub fn patience(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("{error}; write it as 30s or 10m"))
}
