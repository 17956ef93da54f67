//! Whether the tree keeps the rules that a compiler does not know.
//!
//! A rule of our own is a file beside this one; its head says the rule and the reason for it. It tells everything that it
//! finds, each time with what to do. [`tools`] runs what others wrote.

mod crates;
mod diagram;
#[cfg(test)]
mod fixture;
pub mod generated;
mod guide;
mod internal;
mod products;
mod readmes;
mod settings;
mod source;
mod tools;
mod wiring;

use std::fmt::Display;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::project::Project;

/// Check format, lints, types, licences and the rules that a compiler does not know.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only the rules of our own, which takes a moment.
    #[arg(long)]
    rules: bool,
    /// First write what is generated: wiring diagrams, the catalogue, the table of products, Rust's format.
    #[arg(long)]
    fix: bool,
}

/// What was found: where, what is wrong, what to do.
#[derive(Default)]
pub struct Findings(Vec<String>);

impl Findings {
    /// `what`: what is wrong, a colon, what to do.
    pub fn add(&mut self, file: impl AsRef<Path>, what: impl Display) {
        self.0.push(format!("{}: {what}", file.as_ref().display()));
    }
}

type Rule = fn(&Project, &mut Findings) -> Result<()>;

const RULES: [(&str, Rule); 7] = [
    ("wiring", wiring::check),
    ("internal Workers", internal::check),
    ("who depends on whom", crates::check),
    ("settings", settings::check),
    ("READMEs", readmes::check),
    ("what is generated", generated::check),
    ("products", products::check),
];

pub fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    if arguments.fix {
        generated::write(project)?;
        tools::format(project)?;
    }
    let started = Instant::now();
    let mut failed = Vec::new();
    for (name, rule) in RULES {
        let mut findings = Findings::default();
        rule(project, &mut findings)?;
        if !findings.0.is_empty() {
            eprintln!("check: {name}:\n  {}", findings.0.join("\n  "));
            failed.push(name);
        }
    }
    println!(
        "check: rules: {} ({} ms)",
        if failed.is_empty() { "kept" } else { "broken, see above" },
        started.elapsed().as_millis()
    );
    products::print_missing(project)?;
    if !arguments.rules {
        failed.extend(tools::run(project)?);
    }
    if failed.is_empty() { Ok(()) } else { bail!("check failed: {}", failed.join(", ")) }
}
