//! Makes a project that stands alone from a pattern.

use anyhow::{Result, bail};

use crate::project::Project;

/// Makes a project that stands alone from a pattern.
#[derive(clap::Args)]
pub struct Arguments {}

pub fn run(_: &Project, _: &Arguments) -> Result<()> {
    bail!("to be written")
}
