//! Whether the tree keeps the rules that a compiler does not know.

use anyhow::{Result, bail};

use crate::project::Project;

/// Whether the tree keeps the rules that a compiler does not know.
#[derive(clap::Args)]
pub struct Arguments {}

pub fn run(_: &Project, _: &Arguments) -> Result<()> {
    bail!("to be written")
}
