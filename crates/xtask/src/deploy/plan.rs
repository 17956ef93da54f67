//! What is in the account, beside what is to be there.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::cloudflare::{Cloudflare, text};
use super::environment::Environment;
use super::target::{Assets, Kind, Resource, Target, Upload};
use crate::project::Project;

pub struct Plan<'a> {
    head: String,
    pub resources: Vec<(Resource, Found)>,
    pub migrations: Vec<Migrations>,
    /// In the order in which they are deployed.
    pub workers: Vec<Planned<'a>>,
    /// The account's under workers.dev, where it has one.
    subdomain: Option<String>,
    /// Names that lead to a Worker that is none of these.
    taken: Vec<String>,
}

pub struct Migrations {
    pub database: String,
    pub binding: String,
    /// The place of the Worker that has them.
    pub worker: usize,
    /// Those that the database has not had.
    pub files: Vec<String>,
}

pub struct Planned<'a> {
    pub target: Target<'a>,
    pub upload: Upload,
    pub state: State,
    missing_secrets: Vec<String>,
}

/// Whether something is in the account.
#[derive(Clone, PartialEq)]
pub enum Found {
    /// With its id, or its name where that is the id.
    There(String),
    Absent,
    /// Nobody asked, for want of an account.
    Unknown,
}

/// Whether a Worker is in the account.
pub enum State {
    New,
    /// The versions that answer requests.
    There(Vec<Version>),
    Unknown,
}

pub struct Version {
    pub id: String,
    pub percentage: f64,
    /// Of a version that was deployed from here: its [`Upload::tag`].
    pub tag: Option<String>,
}

impl<'a> Plan<'a> {
    pub fn make(
        project: &Project,
        environment: &Environment,
        targets: Vec<Target<'a>>,
        cloudflare: Option<&Cloudflare>,
    ) -> Result<Self> {
        let mut resources = Vec::new();
        for resource in targets.iter().flat_map(|target| &target.resources) {
            if !resources.iter().any(|(known, _)| known == resource) {
                resources.push((resource.clone(), Found::Unknown));
            }
        }
        if let Some(cloudflare) = cloudflare {
            look_up(&mut resources, environment, cloudflare)?;
        }

        let mut migrations = Vec::new();
        for (resource, found) in resources.iter().filter(|(resource, _)| resource.kind == Kind::D1) {
            for (worker, target) in targets.iter().enumerate() {
                if let Some((binding, mut files)) = target.migrations(&project.root, &resource.name)? {
                    if let (Some(cloudflare), Found::There(id)) = (cloudflare, found) {
                        let applied = applied(cloudflare, id)?;
                        files.retain(|file| !applied.contains(file));
                    }
                    let database = resource.name.clone();
                    migrations.push(Migrations { database, binding, worker, files });
                }
            }
        }

        let mut workers = Vec::new();
        let mut taken = Vec::new();
        for mut target in targets {
            target.fill(|kind, name| id(&resources, kind, name));
            let upload = Upload::read(&project.root, &target)?;
            let mut state = State::Unknown;
            let mut missing_secrets = target.worker.config.secrets.required.clone();
            if let Some(cloudflare) = cloudflare {
                state = deployed(cloudflare, &target.name)?;
                if !missing_secrets.is_empty() {
                    let set = cloudflare.get(&format!("/workers/scripts/{}/secrets", target.name))?.unwrap_or_default();
                    let set: Vec<_> =
                        set.as_array().into_iter().flatten().filter_map(|secret| text(secret, "name")).collect();
                    missing_secrets.retain(|secret| !set.contains(&secret.as_str()));
                }
                for domain in target.custom_domains() {
                    let owners = cloudflare.list(&format!("/workers/domains?hostname={domain}"))?;
                    let owners = owners.iter().filter_map(|domain| text(domain, "service"));
                    taken.extend(
                        owners
                            .filter(|owner| *owner != target.name)
                            .map(|owner| format!("{domain} leads to the Worker {owner}")),
                    );
                }
            }
            workers.push(Planned { target, upload, state, missing_secrets });
        }

        let mut subdomain = None;
        if let Some(cloudflare) = cloudflare
            && workers.iter().any(|planned| planned.target.worker.public && planned.target.workers_dev())
        {
            subdomain = cloudflare.get("/workers/subdomain")?.and_then(|it| Some(text(&it, "subdomain")?.to_owned()));
        }
        let account = match cloudflare {
            Some(cloudflare) => format!("account {}", cloudflare.account),
            None => "no account, so nothing was looked up there".to_owned(),
        };
        Ok(Self {
            head: format!("plan: {}, {account}", environment.name),
            resources,
            migrations,
            workers,
            subdomain,
            taken,
        })
    }

    /// The Worker with the ids that are known by now, of which its tag is made, too.
    pub fn fill(&mut self, worker: usize, root: &Path) -> Result<&Planned<'a>> {
        let planned = self.workers.get_mut(worker).context("no such Worker")?;
        planned.target.fill(|kind, name| id(&self.resources, kind, name));
        planned.upload = Upload::read(root, &planned.target)?;
        Ok(planned)
    }

    pub fn print(&self, gradual: Option<u8>) {
        println!("{}", self.head);
        for (resource, found) in &self.resources {
            let found = match found {
                Found::There(_) => "is there",
                Found::Absent => "create",
                Found::Unknown => "create, if it is not there",
            };
            println!("  {:<14} {:<32} {found}", resource.kind.name(), resource.name);
        }
        for Migrations { database, files, .. } in &self.migrations {
            let files = if files.is_empty() { "all applied".to_owned() } else { format!("apply {}", files.join(", ")) };
            println!("  {:<14} {database:<32} {files}", "migrations");
        }
        for planned in &self.workers {
            let Planned { target, upload, .. } = planned;
            println!(
                "  {:<14} {:<32} {}, {} KB gzip",
                "Worker",
                target.name,
                planned.change(gradual),
                upload.gzip.div_ceil(1024)
            );
            if let Some(wasm) = &upload.wasm {
                println!("  {:<14}   wasm sha256 {wasm}", "");
            }
            if let Some(Assets { files, gzip }) = &upload.assets {
                let s = if *files == 1 { "" } else { "s" };
                println!("  {:<14}   static assets: {files} file{s}, {} KB gzip", "", gzip.div_ceil(1024));
            }
            let mut addresses = target.addresses(self.subdomain.as_deref().unwrap_or("<subdomain>"));
            addresses.extend(target.many_hosts().map(|route| format!("{route} (not asked)")));
            match (target.worker.public, addresses.is_empty()) {
                (true, false) => println!("  {:<14}   {}", "", addresses.join(" ")),
                (true, true) => println!("  {:<14}   public, but without any address: give it `routes`", ""),
                (false, _) => println!("  {:<14}   internal: no address", ""),
            }
            for secret in &planned.missing_secrets {
                let known = if matches!(planned.state, State::Unknown) { "needed" } else { "missing" };
                println!("  {:<14}   secret {secret}: {known}", "");
            }
        }
    }

    /// Ends here, with nothing changed, what would break half-way.
    pub fn refuse(&self, environment: &Environment, gradual: Option<u8>) -> Result<()> {
        let mut lines = Vec::new();
        for Target { worker, .. } in self.workers.iter().map(|planned| &planned.target).filter(|it| it.unreachable()) {
            let routes = r#"routes = [{ pattern = "api.example.com", custom_domain = true }]"#;
            lines.push(format!("\n\n  [workers.{}]\n  {routes}", worker.config.name));
        }
        if !lines.is_empty() {
            bail!(
                "public, but without any address in {}; nothing was changed. Write into {}, with a domain of yours:{}",
                environment.name,
                environment.path.display(),
                lines.concat()
            );
        }
        if gradual.is_some() {
            // Perhaps it is the empty Worker that `wrangler secret put` made: that must not go on answering.
            let strange = self.workers.iter().filter(|planned| planned.is_there() && !planned.whole());
            let strange: Vec<_> =
                strange.filter(|planned| planned.before().is_none()).map(|it| it.target.name.as_str()).collect();
            if !strange.is_empty() {
                bail!(
                    "what answers for {} was not deployed from here, but by hand or by a change of secrets: \
                     nothing was changed, deploy once without --gradual",
                    strange.join(", ")
                );
            }
        }
        if !self.taken.is_empty() {
            // Wrangler would take it over without a word where there is no terminal.
            bail!("{}: remove the domain there first, or name another", self.taken.join("; "));
        }
        // Also for a Worker that is not there yet: wrangler then makes an empty one that keeps the secret.
        let mut commands = Vec::new();
        for Planned { target, missing_secrets, .. } in &self.workers {
            commands.extend(
                missing_secrets
                    .iter()
                    .map(|secret| format!("\n  npx wrangler secret put {secret} --name {}", target.name)),
            );
        }
        if !commands.is_empty() {
            bail!("secrets are missing; nothing was changed. Set them, then run this again:{}", commands.concat());
        }
        Ok(())
    }

    pub fn addresses(&self, planned: &Planned) -> Vec<String> {
        planned.target.addresses(self.subdomain.as_deref().unwrap_or_default())
    }
}

impl Planned<'_> {
    fn change(&self, gradual: Option<u8>) -> String {
        match (&self.state, self.before(), gradual) {
            (State::Unknown, ..) => "new or changed".to_owned(),
            (State::New, ..) => "new".to_owned(),
            (State::There(_), _, None) if self.whole() => "unchanged, deployed again".to_owned(),
            (State::There(_), ..) if self.whole() => "unchanged".to_owned(),
            (State::There(_), Some(_), Some(percent)) => format!("changed, {percent} % of the requests"),
            (State::There(_), Some(_), None) => "changed".to_owned(),
            (State::There(_), None, _) => "changed, was not deployed from here".to_owned(),
        }
    }

    fn is_there(&self) -> bool {
        matches!(self.state, State::There(_))
    }

    /// This very upload answers every request.
    pub fn whole(&self) -> bool {
        matches!(&self.state, State::There(versions)
            if !versions.is_empty() && versions.iter().all(|version| self.is(version)))
    }

    /// This very upload, where it answers some requests.
    pub fn part(&self) -> Option<&Version> {
        let State::There(versions) = &self.state else { return None };
        versions.iter().find(|version| self.is(version))
    }

    /// The version from here that goes on answering the rest of the requests.
    pub fn before(&self) -> Option<&Version> {
        let State::There(versions) = &self.state else { return None };
        let others = versions.iter().filter(|version| version.tag.is_some() && !self.is(version));
        others.max_by(|a, b| a.percentage.total_cmp(&b.percentage))
    }

    fn is(&self, version: &Version) -> bool {
        version.tag.as_ref() == Some(&self.upload.tag)
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kv => "KV namespace",
            Self::D1 => "D1 database",
            Self::R2 => "R2 bucket",
            Self::Queue => "queue",
        }
    }

    /// Where Cloudflare's API has them, in an account.
    pub fn path(self) -> &'static str {
        match self {
            Self::Kv => "/storage/kv/namespaces",
            Self::D1 => "/d1/database",
            Self::R2 => "/r2/buckets",
            Self::Queue => "/queues",
        }
    }

    /// What the API calls the id and the name. A bucket's name is its id.
    pub fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Kv => ("id", "title"),
            Self::D1 => ("uuid", "name"),
            Self::R2 => ("name", "name"),
            Self::Queue => ("queue_id", "queue_name"),
        }
    }
}

fn id(resources: &[(Resource, Found)], kind: Kind, name: &str) -> Option<String> {
    resources.iter().find_map(|(resource, found)| match found {
        Found::There(id) if resource.kind == kind && resource.name == name => Some(id.clone()),
        _ => None,
    })
}

/// The id in the environment's file. Buckets and queues are bound by their names, and need none.
pub fn recorded<'e>(environment: &'e Environment, Resource { kind, name }: &Resource) -> Option<&'e String> {
    match kind {
        Kind::Kv => environment.file.kv_namespaces.get(name),
        Kind::D1 => environment.file.d1_databases.get(name),
        Kind::R2 | Kind::Queue => None,
    }
}

/// Finds resources by the id in the environment's file, or else by name: then it is what an interrupted run created.
pub fn look_up(resources: &mut [(Resource, Found)], environment: &Environment, cloudflare: &Cloudflare) -> Result<()> {
    let mut lists: BTreeMap<Kind, Vec<Value>> = BTreeMap::new();
    for (resource, found) in resources {
        let Resource { kind, name } = &*resource;
        let (path, (id_key, name_key)) = (kind.path(), kind.keys());
        if *kind == Kind::R2 {
            let there = cloudflare.get(&format!("{path}/{name}"))?.is_some();
            *found = if there { Found::There(name.clone()) } else { Found::Absent };
            continue;
        }
        if !lists.contains_key(kind) {
            lists.insert(*kind, cloudflare.pages(path)?);
        }
        let all = || lists.get(kind).into_iter().flatten();
        let is = |entry: &&Value, key: &str, value: &str| text(entry, key) == Some(value);
        let by_id = recorded(environment, resource).and_then(|id| all().find(|entry| is(entry, id_key, id)));
        let entry = by_id.or_else(|| all().find(|entry| is(entry, name_key, name)));
        *found = match entry.and_then(|entry| text(entry, id_key)) {
            Some(id) => Found::There(id.to_owned()),
            None => Found::Absent,
        };
    }
    Ok(())
}

fn applied(cloudflare: &Cloudflare, database: &str) -> Result<Vec<String>> {
    let query = |sql: &str| -> Result<Vec<String>> {
        let answer =
            cloudflare.post(&format!("/d1/database/{database}/query"), &json!({ "sql": sql }))?.unwrap_or_default();
        let rows = answer.pointer("/0/results").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(rows.iter().filter_map(|row| Some(text(row, "name")?.to_owned())).collect())
    };
    if query("SELECT name FROM sqlite_master WHERE name = 'd1_migrations'")?.is_empty() {
        return Ok(Vec::new());
    }
    query("SELECT name FROM d1_migrations")
}

pub fn deployed(cloudflare: &Cloudflare, name: &str) -> Result<State> {
    let Some(deployments) = cloudflare.get(&format!("/workers/scripts/{name}/deployments"))? else {
        return Ok(State::New);
    };
    let mut versions = Vec::new();
    for version in deployments.pointer("/deployments/0/versions").and_then(Value::as_array).into_iter().flatten() {
        let Some(id) = text(version, "version_id") else { continue };
        let details = cloudflare.get(&format!("/workers/scripts/{name}/versions/{id}"))?.unwrap_or_default();
        versions.push(Version {
            id: id.to_owned(),
            percentage: version.get("percentage").and_then(Value::as_f64).unwrap_or_default(),
            tag: details.get("annotations").and_then(|it| text(it, "workers/tag")).map(str::to_owned),
        });
    }
    Ok(State::There(versions))
}
