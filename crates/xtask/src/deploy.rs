//! Brings patterns into a Cloudflare account.

use anyhow::{Result, bail};

use crate::project::Project;

/// Brings patterns into a Cloudflare account.
#[derive(clap::Args)]
pub struct Arguments {}

pub fn run(_: &Project, _: &Arguments) -> Result<()> {
    bail!("to be written")
}
