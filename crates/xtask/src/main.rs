//! What people and workflows do with the patterns besides running them. The script of the same name as a command sets up the
//! tools and then calls this.
//!
//! [`project`] reads the checkout: which patterns there are, from which Workers they are made. [`wrangler`] is the part of a
//! `wrangler.toml` that concerns us. Each command stands on these two.

mod changed;
mod check;
mod deploy;
mod new;
mod project;
mod wrangler;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use project::Project;

#[derive(Parser)]
#[command(name = "xtask", about = "What is done with patterns besides running them", disable_help_subcommand = true)]
struct Arguments {
    /// The checkout that is meant.
    #[arg(long, env = "EDGE_ROOT", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../.."), hide = true, global = true)]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Changed(changed::Arguments),
    Check(check::Arguments),
    New(new::Arguments),
    Deploy(deploy::Arguments),
}

fn main() -> ExitCode {
    let Arguments { root, command } = Arguments::parse();
    let done = Project::read(&root).and_then(|project| match command {
        Command::Changed(arguments) => changed::run(&project, &arguments),
        Command::Check(arguments) => check::run(&project, &arguments),
        Command::New(arguments) => new::run(&project, &arguments),
        Command::Deploy(arguments) => deploy::run(&project, &arguments),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why:#}");
            ExitCode::FAILURE
        }
    }
}
