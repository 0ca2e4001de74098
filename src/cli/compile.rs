//! `watershed compile`: the compiler that a server starts; people need not call it. It reads no configuration.

use std::process::ExitCode;

use super::CliError;
use crate::runtime::{World, compile_for};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What the component on standard input is compiled for.
    #[arg(long)]
    world: World,
    /// The process that waits for the result.
    #[arg(long)]
    parent: u32,
    /// On how many cores to compile.
    #[arg(long)]
    cores: usize,
}

pub(super) fn compile(arguments: &Arguments) -> Result<ExitCode, CliError> {
    compile_for(arguments.parent, arguments.world, arguments.cores)?;
    Ok(ExitCode::SUCCESS)
}
