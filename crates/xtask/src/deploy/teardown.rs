//! Takes patterns out of an account, with their data.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::{Context, Result, bail};

use super::cloudflare::{Cloudflare, text};
use super::environment::Environment;
use super::plan::{self, Found, State};
use super::steps;
use super::target::{Kind, Resource, Target};

enum Step {
    /// A name, whole.
    Domain(String),
    /// Queue and id: Cloudflare keeps a Worker as long as it consumes.
    Consumer(String, String),
    Worker(String),
    Resource(Resource, String),
    /// In the environment's file is an id of what is not there: an interrupted teardown deleted it without hearing so.
    Forget(Resource),
}

pub fn run(
    cloudflare: &Cloudflare,
    environment: &Environment,
    targets: &[Target],
    dry_run: bool,
    yes: bool,
) -> Result<()> {
    let steps = steps(cloudflare, environment, targets).context("nothing was changed")?;
    if steps.is_empty() {
        println!("nothing of {} is in account {}", environment.name, cloudflare.account);
        return Ok(());
    }
    println!("delete from {}, account {}:", environment.name, cloudflare.account);
    let names: Vec<_> = steps.iter().map(|(_, name)| name.clone()).collect();
    for name in &names {
        println!("  {name}");
    }
    if dry_run {
        return Ok(());
    }
    if !yes {
        confirm(&environment.name)?;
    }
    for (at, (step, name)) in steps.iter().enumerate() {
        println!("delete {name} ...");
        take(step, cloudflare, environment).with_context(|| steps::unfinished(&names, at))?;
    }
    println!("deleted all of {}", environment.name);
    Ok(())
}

/// Workers before those that they bind to, and data last.
fn steps(cloudflare: &Cloudflare, environment: &Environment, targets: &[Target]) -> Result<Vec<(Step, String)>> {
    let mut looked_up: Vec<(Resource, Found)> = Vec::new();
    for resource in targets.iter().flat_map(|target| &target.resources) {
        if !looked_up.iter().any(|(known, _)| known == resource) {
            looked_up.push((resource.clone(), Found::Unknown));
        }
    }
    plan::look_up(&mut looked_up, environment, cloudflare)?;
    let (mut resources, mut gone) = (Vec::new(), Vec::new());
    for (resource, found) in looked_up {
        match found {
            Found::There(id) => resources.push((resource, id)),
            _ if plan::recorded(environment, &resource).is_some() => gone.push(resource),
            _ => {}
        }
    }

    let mut steps = Vec::new();
    for (queue, id) in resources.iter().filter(|(resource, _)| resource.kind == Kind::Queue) {
        let consumers = cloudflare.get(&format!("/queues/{id}/consumers"))?.unwrap_or_default();
        for consumer in consumers.as_array().into_iter().flatten() {
            if let Some(consumer) = text(consumer, "consumer_id") {
                let step = Step::Consumer(id.clone(), consumer.to_owned());
                steps.push((step, format!("consumer of {}", queue.name)));
            }
        }
    }
    for target in targets.iter().rev() {
        if matches!(plan::deployed(cloudflare, &target.name)?, State::New) {
            continue;
        }
        for domain in cloudflare.list(&format!("/workers/domains?service={}", target.name))? {
            if let (Some(id), Some(name)) = (text(&domain, "id"), text(&domain, "hostname")) {
                steps.push((Step::Domain(id.to_owned()), format!("domain {name}")));
            }
        }
        steps.push((Step::Worker(target.name.clone()), format!("Worker {}", target.name)));
    }
    for (resource, id) in resources.into_iter().rev() {
        // It may be somebody else's, so whoever confirms is to know. Of a bucket and a queue the name is all that there is.
        let known_by = match resource.kind {
            Kind::R2 | Kind::Queue => " (found by name)".to_owned(),
            Kind::Kv | Kind::D1 if plan::recorded(environment, &resource) == Some(&id) => String::new(),
            Kind::Kv | Kind::D1 => format!(" (found by name, not recorded in {})", environment.path.display()),
        };
        let name = format!("{} {} and what is in it{known_by}", resource.kind.name(), resource.name);
        steps.push((Step::Resource(resource, id), name));
    }
    for resource in gone {
        let file = environment.path.display();
        let name = format!("the id of {} {}, which is gone, from {file}", resource.kind.name(), resource.name);
        steps.push((Step::Forget(resource), name));
    }
    Ok(steps)
}

fn take(step: &Step, cloudflare: &Cloudflare, environment: &Environment) -> Result<()> {
    match step {
        Step::Domain(id) => cloudflare.delete(&format!("/workers/domains/{id}")),
        Step::Consumer(queue, id) => cloudflare.delete(&format!("/queues/{queue}/consumers/{id}")),
        // Not forced: Cloudflare keeps it when a Worker of somebody else is bound to it. (`wrangler delete` would ask, and take
        // silence for a yes.)
        Step::Worker(name) => cloudflare.delete(&format!("/workers/scripts/{name}?force=false")),
        Step::Resource(resource, id) => {
            cloudflare.delete(&format!("{}/{id}", resource.kind.path()))?;
            steps::remember(environment, resource, None)
        }
        Step::Forget(resource) => steps::remember(environment, resource, None),
    }
}

fn confirm(environment: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!("nothing was deleted: without a terminal to ask on, say --yes");
    }
    print!("This cannot be undone. Type {environment} to delete all of it: ");
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim() != environment {
        bail!("nothing was deleted");
    }
    Ok(())
}
