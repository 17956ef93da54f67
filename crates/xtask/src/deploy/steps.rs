//! What is left to do, in its order.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::cloudflare::{Cloudflare, Response, text};
use super::environment::Environment;
use super::plan::{Found, Plan, Planned};
use super::target::{Kind, Resource};
use crate::project::Project;

/// The numbers are places in the plan.
enum Step {
    Create(usize),
    Migrate(usize),
    Deploy(usize),
    Ask(usize, String),
}

pub fn deploy(
    project: &Project,
    environment: &Environment,
    cloudflare: &Cloudflare,
    mut plan: Plan,
    gradual: Option<u8>,
    wait: Duration,
) -> Result<()> {
    let root = &project.root;
    environment.set(None, "account_id", Some(&cloudflare.account))?;
    let mut steps = Vec::new();
    for (index, (resource, found)) in plan.resources.iter().enumerate() {
        match found {
            Found::There(id) => remember(environment, resource, Some(id))?,
            _ => steps.push((Step::Create(index), format!("create {} {}", resource.kind.name(), resource.name))),
        }
    }
    for (index, migrations) in plan.migrations.iter().enumerate().filter(|(_, migrations)| !migrations.files.is_empty())
    {
        steps.push((Step::Migrate(index), format!("migrate {}", migrations.database)));
    }
    // Otherwise every Worker, also an unchanged one: perhaps it was the last call of its deployment that failed.
    for (index, planned) in plan.workers.iter().enumerate().filter(|(_, planned)| gradual.is_none() || !planned.whole())
    {
        steps.push((Step::Deploy(index), format!("deploy {}", planned.target.name)));
    }
    for (index, planned) in plan.workers.iter().enumerate().filter(|(_, planned)| planned.target.worker.public) {
        for address in plan.addresses(planned) {
            steps.push((Step::Ask(index, address.clone()), format!("ask {address}")));
        }
    }

    let names: Vec<_> = steps.iter().map(|(_, name)| name.clone()).collect();
    for (at, (step, name)) in steps.iter().enumerate() {
        println!("{name} ...");
        let taken = take(step, root, environment, cloudflare, &mut plan, gradual, wait);
        taken.with_context(|| unfinished(&names, at))?;
    }
    let deployed: Vec<_> = plan.workers.iter().map(|planned| planned.target.name.as_str()).collect();
    println!(
        "deployed {} to {}; ids are in {}, which belongs into the repository",
        deployed.join(", "),
        environment.name,
        environment.path.display()
    );
    Ok(())
}

/// What a person or a log wants to read last.
pub fn unfinished(steps: &[String], at: usize) -> String {
    let list = |steps: &[String]| if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") };
    let (done, left) = steps.split_at_checked(at).unwrap_or_default();
    format!(
        "done: {}. Not done: {}. The same command, run again, goes on from here. What happened",
        list(done),
        list(left)
    )
}

fn take(
    step: &Step,
    root: &Path,
    environment: &Environment,
    cloudflare: &Cloudflare,
    plan: &mut Plan,
    gradual: Option<u8>,
    wait: Duration,
) -> Result<()> {
    match step {
        Step::Create(index) => {
            let (resource, found) = plan.resources.get_mut(*index).context("no such resource")?;
            let id = create(cloudflare, resource)?;
            remember(environment, resource, Some(&id))?;
            *found = Found::There(id);
        }
        Step::Migrate(index) => {
            let migrations = plan.migrations.get(*index).context("no such migrations")?;
            let (worker, binding) = (migrations.worker, migrations.binding.clone());
            let file = plan.fill(worker, root)?.target.write(root, environment)?;
            wrangler(root, cloudflare, &["d1", "migrations", "apply", &binding, "--remote", "--config", &file])?;
        }
        Step::Deploy(index) => {
            let planned = plan.fill(*index, root)?;
            let file = planned.target.write(root, environment)?;
            upload(root, cloudflare, planned, &file, gradual)?;
        }
        Step::Ask(index, address) => {
            let planned = plan.workers.get(*index).context("no such Worker")?;
            let answer = ask(cloudflare, address, wait)
                .with_context(|| format!("{} is deployed, but {address} gives no answer", planned.target.name))?;
            println!("  {}", answer.status);
            if unspread(&answer) {
                println!(
                    "  warning: it has no x-request-id, so it is perhaps Cloudflare's: the address may take longer"
                );
            }
        }
    }
    Ok(())
}

fn create(cloudflare: &Cloudflare, resource: &Resource) -> Result<String> {
    let Resource { kind, name } = resource;
    let (path, (id, name_key)) = (kind.path(), kind.keys());
    let made = cloudflare.post(path, &json!({ name_key: name }))?.unwrap_or_default();
    Ok(text(&made, id).with_context(|| format!("POST {path}: the answer has no {id}"))?.to_owned())
}

/// Buckets and queues are bound by their names: they need no id in the file.
pub fn remember(environment: &Environment, resource: &Resource, id: Option<&str>) -> Result<()> {
    match resource.kind {
        Kind::Kv => environment.set(Some("kv_namespaces"), &resource.name, id),
        Kind::D1 => environment.set(Some("d1_databases"), &resource.name, id),
        Kind::R2 | Kind::Queue => Ok(()),
    }
}

fn upload(root: &Path, cloudflare: &Cloudflare, planned: &Planned, file: &str, gradual: Option<u8>) -> Result<()> {
    let message = planned.upload.wasm.as_ref().map_or("no wasm".to_owned(), |wasm| format!("wasm sha256 {wasm}"));
    let labels = ["--tag", &planned.upload.tag, "--message", &message, "--config", file];
    let Some((percent, before)) = gradual.zip(planned.before()) else {
        return wrangler(root, cloudflare, &[&["deploy"], labels.as_slice()].concat()).map(drop);
    };
    let new = if let Some(version) = planned.part() {
        version.id.clone()
    } else {
        let said = wrangler(root, cloudflare, &[&["versions", "upload"], labels.as_slice()].concat())?;
        said.context("wrangler named no version")?
    };
    let shares = [format!("{new}@{percent}"), format!("{}@{}", before.id, 100 - percent)];
    let [ours, rest] = &shares;
    wrangler(root, cloudflare, &["versions", "deploy", ours, rest, "--yes", "--message", &message, "--config", file])
        .map(drop)
}

/// Tells the version that was uploaded.
fn wrangler(root: &Path, cloudflare: &Cloudflare, arguments: &[&str]) -> Result<Option<String>> {
    let report = root.join(format!(".edge/deploy/wrangler-{}.jsonl", std::process::id()));
    let mut command = Command::new("wrangler");
    command.args(arguments).current_dir(root).stdin(Stdio::null());
    command.env("CLOUDFLARE_ACCOUNT_ID", &cloudflare.account).env("WRANGLER_SEND_METRICS", "false");
    command.env("WRANGLER_OUTPUT_FILE_PATH", &report);
    let ended = command.output().context("cannot start wrangler")?;
    let said = fs::read_to_string(&report).unwrap_or_default();
    let _ = fs::remove_file(&report);
    if !ended.status.success() {
        eprint!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        bail!("`wrangler {}` failed, see above", arguments.join(" "));
    }
    let events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let version = events
        .filter(|event| text(event, "type") == Some("version-upload"))
        .find_map(|event| text(&event, "version_id").map(str::to_owned));
    Ok(version)
}

/// An answer below 500 will do: a Worker may well refuse strangers.
fn ask(cloudflare: &Cloudflare, address: &str, wait: Duration) -> Result<Response> {
    let end = Instant::now() + wait;
    loop {
        let (answer, late) = (cloudflare.visit(address), Instant::now() >= end);
        match answer {
            Ok(answer) if answer.status < 500 && (late || !unspread(&answer)) => return Ok(answer),
            Ok(answer) if late => bail!("{}, after {} s", answer.status, wait.as_secs()),
            Err(why) if late => return Err(why),
            _ => sleep(Duration::from_secs(2)),
        }
    }
}

/// Cloudflare itself answers so for a name under workers.dev that has not spread yet. Each answer of edge-http has an
/// `x-request-id`. A Worker without it that answers 404 looks the same, so in the end that is no failure.
fn unspread(answer: &Response) -> bool {
    answer.status == 404 && !answer.named
}
