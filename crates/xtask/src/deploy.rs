//! Brings patterns into a Cloudflare account.
//!
//! [`environment`] is the file with what differs between, say, staging and production. From it and the `wrangler.toml` files
//! come the [`target`]s: each Worker as it is to be. [`plan`] compares them with what is in the [`cloudflare`] account, and
//! [`steps`] are what is left to do. Every step may be taken twice: an interrupted deployment is finished by the same command.

mod cloudflare;
mod environment;
mod plan;
mod steps;
mod target;
mod teardown;

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::project::Project;
use cloudflare::Cloudflare;
use environment::{Environment, PRODUCTION};
use plan::Plan;

/// Brings patterns into a Cloudflare account.
///
/// Prints a plan, creates what is missing, applies D1 migrations, deploys each Worker after those that it binds to, and asks each
/// public one for an answer. Needs `CLOUDFLARE_API_TOKEN` or `npx wrangler login`, and `CLOUDFLARE_ACCOUNT_ID` or `account_id` in
/// environments/NAME.toml. What was interrupted is finished by the same command.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folders in patterns/.
    #[arg(value_name = "SLUG", required = true)]
    slugs: Vec<String>,
    /// Other environments than production have Workers, databases, namespaces, buckets and queues of their own, named …-NAME.
    #[arg(long, value_name = "NAME", default_value = PRODUCTION)]
    env: String,
    /// Print the plan, and change nothing; works without an account, too.
    #[arg(long)]
    dry_run: bool,
    /// Give the new versions this share of the requests, and the versions before them the rest. Deploy without it to finish:
    /// until then addresses, schedules and consumers stay as they are. A Worker that is not there yet is deployed whole.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=99), conflicts_with = "teardown")]
    gradual: Option<u8>,
    /// How long a public Worker may take until it answers: a new address has to spread, and a new domain to get its certificate.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Delete the patterns' Workers, and all data in their databases, namespaces, buckets and queues.
    #[arg(long)]
    teardown: bool,
    /// Do not ask.
    #[arg(long, requires = "teardown")]
    yes: bool,
}

pub fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let patterns = arguments.slugs.iter().map(|slug| project.pattern(slug)).collect::<Result<Vec<_>>>()?;
    let environment = Environment::read(&project.root, &arguments.env)?;
    let targets = target::targets(project, &patterns, &environment)?;
    let cloudflare = log_in(project, &environment)?;
    if cloudflare.is_none() && (arguments.teardown || !arguments.dry_run) {
        bail!(
            "no account: set CLOUDFLARE_API_TOKEN or run `npx wrangler login`, and set CLOUDFLARE_ACCOUNT_ID or `account_id` in {}",
            environment.path.display()
        );
    }
    if let (true, Some(cloudflare)) = (arguments.teardown, &cloudflare) {
        return teardown::run(cloudflare, &environment, &targets, arguments.dry_run, arguments.yes);
    }
    for target in &targets {
        build(&project.root, target.worker)?;
    }
    let plan = Plan::make(project, &environment, targets, cloudflare.as_ref()).context("nothing was changed")?;
    plan.print(arguments.gradual);
    let (false, Some(cloudflare)) = (arguments.dry_run, &cloudflare) else { return Ok(()) };
    plan.refuse(&environment, arguments.gradual)?;
    steps::deploy(project, &environment, cloudflare, plan, arguments.gradual, Duration::from_secs(arguments.wait))
}

fn log_in(project: &Project, environment: &Environment) -> Result<Option<Cloudflare>> {
    match environment.account()? {
        Some(account) => Cloudflare::log_in(account, &project.root),
        None => Ok(None),
    }
}

/// Its own `[build]` command, as wrangler would run it. The tests set `EDGE_BUILT`: they have built what they deploy.
fn build(root: &Path, worker: &crate::project::Worker) -> Result<()> {
    let ready = env::var_os("EDGE_BUILT").is_some_and(|value| !value.is_empty());
    let Some(build) = worker.config.build.as_ref().filter(|_| !ready) else {
        return Ok(());
    };
    let status = Command::new("sh")
        .args(["-c", &build.command])
        .current_dir(root.join(&worker.folder))
        .stdin(Stdio::null())
        .status();
    if !status.context("cannot start sh")?.success() {
        bail!("{} is not built: see above", worker.config.name);
    }
    Ok(())
}
