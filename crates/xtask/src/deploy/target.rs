//! A Worker as it is to be in an environment: its effective `wrangler.toml`, and what is uploaded.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::environment::{Environment, PRODUCTION};
use crate::project::{self, Pattern, Project, Worker, read_toml};

pub struct Target<'a> {
    pub worker: &'a Worker,
    /// In this environment, as all names and ids here.
    pub name: String,
    /// For wrangler. Ids are missing until [`Target::fill`].
    pub config: Table,
    /// The Workers that it binds to.
    needs: Vec<String>,
    /// What its bindings lead to, in the order in which it is created.
    pub resources: Vec<Resource>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Resource {
    pub kind: Kind,
    pub name: String,
}

/// What a binding leads to, and has to be there before the Worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Kv,
    D1,
    R2,
    Queue,
}

/// The Workers of these patterns, a Worker after those that it binds to.
pub fn targets<'a>(project: &Project, patterns: &[&'a Pattern], environment: &Environment) -> Result<Vec<Target<'a>>> {
    refuse_unknown(project, environment)?;
    let mut waiting = Vec::new();
    for worker in patterns.iter().flat_map(|pattern| &pattern.workers) {
        waiting.push(Target::read(&project.root, worker, environment)?);
    }
    let mut ordered: Vec<Target> = Vec::new();
    while !waiting.is_empty() {
        let names: Vec<_> = waiting.iter().map(|target| target.name.clone()).collect();
        let waits =
            |target: &Target| target.needs.iter().find(|need| **need != target.name && names.contains(need)).cloned();
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|target| waits(target).is_none());
        if ready.is_empty() {
            let circle: Vec<_> =
                rest.iter().filter_map(|target| Some(format!("{} binds to {}", target.name, waits(target)?))).collect();
            bail!(
                "{}: none of them can be the first, since Cloudflare refuses a binding to a Worker that is not there. \
                 Deploy one without its binding by hand once, or cut the circle with a queue",
                circle.join(", ")
            );
        }
        ordered.extend(ready);
        waiting = rest;
    }
    Ok(ordered)
}

/// What is misspelt in the environment's file would be without effect otherwise, and unseen. Other patterns' entries are right.
fn refuse_unknown(project: &Project, environment: &Environment) -> Result<()> {
    let path = environment.path.display();
    for (named, own) in &environment.file.workers {
        let Some(worker) = project.workers().find(|worker| worker.config.name == *named) else {
            bail!("{path}: no Worker is named {named}");
        };
        let vars = &worker.config.vars;
        if let Some(var) = own.vars.keys().find(|var| !vars.contains_key(*var)) {
            let known = vars.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            bail!("{path}: {named} has no variable {var} in the [vars] of its wrangler.toml; there are: {known}");
        }
    }
    let (mut titles, mut databases) = (Vec::new(), Vec::new());
    for config in project.workers().map(|worker| &worker.config) {
        let name = environment.named(&config.name);
        titles.extend(config.kv_namespaces.iter().map(|kv| title(&name, &kv.binding)));
        databases.extend(config.d1_databases.iter().map(|database| environment.named(&database.database_name)));
    }
    for (table, ids, known) in [
        ("kv_namespaces", &environment.file.kv_namespaces, titles),
        ("d1_databases", &environment.file.d1_databases, databases),
    ] {
        if let Some(key) = ids.keys().find(|key| !known.contains(key)) {
            bail!("{path}: no Worker has {key}, which is in [{table}]; there are: {}", known.join(", "));
        }
    }
    Ok(())
}

impl<'a> Target<'a> {
    fn read(root: &Path, worker: &'a Worker, environment: &Environment) -> Result<Self> {
        let written = &worker.config;
        let name = environment.named(&written.name);
        let mut config: Table = read_toml(&root.join(&worker.folder).join("wrangler.toml"))?;
        config.insert("name".to_owned(), name.clone().into());

        // One address cannot lead to two environments, so those in the wrangler.toml are production's.
        if environment.name != PRODUCTION {
            config.remove("route");
            config.remove("routes");
        }
        if let Some(own) = environment.file.workers.get(&written.name) {
            if let Some(routes) = &own.routes {
                if !worker.public {
                    bail!("{}: {} is internal, it gets no route", environment.path.display(), written.name);
                }
                config.remove("route");
                config.insert("routes".to_owned(), routes.clone().into());
            }
            if !own.vars.is_empty() {
                let vars = config.entry("vars").or_insert(Value::Table(Table::new()));
                vars.as_table_mut().context("[vars] is no table")?.extend(own.vars.clone());
            }
        }

        let rename = |entry: &mut Table, key: &str| {
            if let Some(Value::String(name)) = entry.get_mut(key) {
                *name = environment.named(name);
            }
        };
        each(&mut config, &["services"], |service| rename(service, "service"));
        each(&mut config, &["durable_objects", "bindings"], |object| rename(object, "script_name"));
        each(&mut config, &["d1_databases"], |database| rename(database, "database_name"));
        each(&mut config, &["r2_buckets"], |bucket| rename(bucket, "bucket_name"));
        each(&mut config, &["queues", "producers"], |producer| rename(producer, "queue"));
        each(&mut config, &["queues", "consumers"], |consumer| {
            rename(consumer, "queue");
            rename(consumer, "dead_letter_queue");
        });
        // Ids differ by environment, so they are in its file, and the blank ones here give way to them.
        for (table, key) in [("kv_namespaces", "id"), ("d1_databases", "database_id")] {
            for binding in tables(&config, table) {
                let id = text(binding, key);
                if id.bytes().any(|b| !matches!(b, b'0' | b'-')) {
                    let place = match table {
                        "kv_namespaces" => title(&name, text(binding, "binding")),
                        _ => text(binding, "database_name").to_owned(),
                    };
                    bail!(
                        "{}/wrangler.toml: put zeros for the {key} there, and write into {}:\n\n  \
                         [{table}]\n  {place} = \"{id}\"",
                        worker.folder.display(),
                        environment.path.display()
                    );
                }
            }
            each(&mut config, &[table], |binding| drop(binding.remove(key)));
        }

        let mut resources = Vec::new();
        let mut add = |kind, name: String| {
            let resource = Resource { kind, name };
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        };
        for kv in &written.kv_namespaces {
            add(Kind::Kv, title(&name, &kv.binding));
        }
        for database in &written.d1_databases {
            add(Kind::D1, environment.named(&database.database_name));
        }
        for bucket in &written.r2_buckets {
            add(Kind::R2, environment.named(&bucket.bucket_name));
        }
        for consumer in &written.queues.consumers {
            for queue in consumer.dead_letter_queue.iter().chain([&consumer.queue]) {
                add(Kind::Queue, environment.named(queue));
            }
        }
        for producer in &written.queues.producers {
            add(Kind::Queue, environment.named(&producer.queue));
        }

        let objects = written.durable_objects.bindings.iter().filter_map(|object| object.script_name.as_ref());
        let needs = written.services.iter().map(|service| &service.service).chain(objects);
        let needs = needs.map(|worker| environment.named(worker)).collect();
        Ok(Self { worker, name, config, needs, resources })
    }

    /// Puts in the ids of what is there by now.
    pub fn fill(&mut self, id: impl Fn(Kind, &str) -> Option<String>) {
        let put = |entry: &mut Table, key: &str, kind, name: &str| {
            if let Some(id) = id(kind, name) {
                entry.insert(key.to_owned(), id.into());
            }
        };
        each(&mut self.config, &["kv_namespaces"], |kv| {
            let title = title(&self.name, text(kv, "binding"));
            put(kv, "id", Kind::Kv, &title);
        });
        each(&mut self.config, &["d1_databases"], |database| {
            let name = text(database, "database_name").to_owned();
            put(database, "database_id", Kind::D1, &name);
        });
    }

    /// Where people and programs reach it, and it can be asked; `subdomain` is the account's under workers.dev.
    pub fn addresses(&self, subdomain: &str) -> Vec<String> {
        let mut all = Vec::new();
        for route in self.routes().into_iter().filter(|route| !has_many_hosts(route)) {
            let (scheme, rest) = route.split_once("://").unwrap_or(("https", route));
            let rest = rest.trim_end_matches('*');
            all.push(format!("{scheme}://{rest}{}", if rest.contains('/') { "" } else { "/" }));
        }
        if self.workers_dev() {
            all.push(format!("https://{}.{subdomain}.workers.dev/", self.name));
        }
        all
    }

    /// The routes that name no host that could be asked.
    pub fn many_hosts(&self) -> impl Iterator<Item = &str> {
        self.routes().into_iter().filter(|route| has_many_hosts(route))
    }

    /// Public, but nobody reaches it.
    pub fn unreachable(&self) -> bool {
        self.worker.public && !self.workers_dev() && self.routes().is_empty()
    }

    /// Wrangler's default: unless there is a route.
    pub fn workers_dev(&self) -> bool {
        self.config.get("workers_dev").and_then(Value::as_bool).unwrap_or(self.routes().is_empty())
    }

    fn routes(&self) -> Vec<&str> {
        let many = self.config.get("routes").and_then(Value::as_array).into_iter().flatten();
        many.chain(self.config.get("route"))
            .filter_map(|route| route.get("pattern").unwrap_or(route).as_str())
            .collect()
    }

    /// The names that become this Worker's whole, whoever had them before.
    pub fn custom_domains(&self) -> Vec<&str> {
        let routes = self.config.get("routes").and_then(Value::as_array).into_iter().flatten();
        let whole = routes.filter(|route| route.get("custom_domain").and_then(Value::as_bool) == Some(true));
        whole.filter_map(|route| route.get("pattern").and_then(Value::as_str)).collect()
    }

    /// For wrangler, which takes paths from the file's own folder; nothing is built again, so that what was measured is uploaded.
    pub fn write(&self, root: &Path, environment: &Environment) -> Result<String> {
        let folder = root.join(".edge/deploy").join(&environment.name).join(&self.worker.config.name);
        let from = root.join(&self.worker.folder);
        let mut config = self.config.clone();
        config.remove("build");
        config.insert("main".to_owned(), from.join(&self.worker.config.main).display().to_string().into());
        if let Some(assets) = config.get_mut("assets").and_then(Value::as_table_mut) {
            let directory = from.join(text(assets, "directory"));
            assets.insert("directory".to_owned(), directory.display().to_string().into());
        }
        each(&mut config, &["d1_databases"], |database| {
            let migrations = from.join(database.get("migrations_dir").and_then(Value::as_str).unwrap_or("migrations"));
            database.insert("migrations_dir".to_owned(), migrations.display().to_string().into());
        });
        fs::create_dir_all(&folder)?;
        let file = folder.join("wrangler.toml");
        fs::write(&file, toml::to_string(&config)?).with_context(|| file.display().to_string())?;
        Ok(file.display().to_string())
    }

    /// The migrations of a database, if this Worker has them: binding and file names in their order.
    pub fn migrations(&self, root: &Path, database: &str) -> Result<Option<(String, Vec<String>)>> {
        for (written, now) in self.worker.config.d1_databases.iter().zip(tables(&self.config, "d1_databases")) {
            let folder = root.join(&self.worker.folder).join(written.migrations_dir.as_deref().unwrap_or("migrations"));
            if text(now, "database_name") != database || !folder.exists() {
                continue;
            }
            let mut files = Vec::new();
            for entry in fs::read_dir(&folder)? {
                files.push(entry?.file_name().to_string_lossy().into_owned());
            }
            files.retain(|file| Path::new(file).extension().is_some_and(|extension| extension == "sql"));
            files.sort();
            return Ok(Some((written.binding.clone(), files)));
        }
        Ok(None)
    }
}

/// Such as `*.example.com/*`.
fn has_many_hosts(route: &str) -> bool {
    let rest = route.split_once("://").map_or(route, |(_, rest)| rest);
    rest.split('/').next().is_some_and(|host| host.contains('*'))
}

fn title(worker: &str, binding: &str) -> String {
    format!("{worker}-{binding}")
}

fn text<'t>(table: &'t Table, key: &str) -> &'t str {
    table.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn tables<'t>(config: &'t Table, key: &str) -> impl Iterator<Item = &'t Table> {
    config.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

/// Does it to every table of an array in the configuration.
fn each(config: &mut Table, path: &[&str], mut change: impl FnMut(&mut Table)) {
    let (last, before) = match path {
        [first, last] => (last, config.get_mut(*first).and_then(Value::as_table_mut)),
        [only] => (only, Some(config)),
        _ => return,
    };
    let array = before.and_then(|table| table.get_mut(*last)).and_then(Value::as_array_mut);
    array.into_iter().flatten().filter_map(Value::as_table_mut).for_each(&mut change);
}

/// What is uploaded.
pub struct Upload {
    /// Bytes, as wrangler counts them.
    pub gzip: u64,
    /// SHA-256 of the wasm; None where there is none.
    pub wasm: Option<String>,
    pub assets: Option<Assets>,
    /// Of the code, the static assets and the configuration: the tag of the version that is deployed, by which an unchanged Worker is known.
    pub tag: String,
}

pub struct Assets {
    /// How many.
    pub files: usize,
    /// Bytes.
    pub gzip: u64,
}

impl Upload {
    pub fn read(root: &Path, target: &Target) -> Result<Self> {
        let config = &target.worker.config;
        if !config.no_bundle {
            bail!(
                "{}: no_bundle = true is missing, so wrangler would upload another code than was tested",
                config.name
            );
        }
        let main = target.worker.folder.join(&config.main);
        let folder = root.join(main.parent().context("`main` is in no folder")?);
        let mut files = Vec::new();
        for entry in
            fs::read_dir(&folder).with_context(|| format!("{} is not built", target.worker.folder.display()))?
        {
            files.push(entry?.path());
        }
        files.sort();
        let (mut all, mut wasm, mut gzip) = (Sha256::new(), None, GzEncoder::new(Vec::new(), Compression::default()));
        for file in &files {
            let bytes = fs::read(file).with_context(|| file.display().to_string())?;
            if file.extension().is_some_and(|extension| extension == "wasm") {
                wasm = Some(hex(&Sha256::digest(&bytes)));
            }
            all.update(Sha256::digest(&bytes));
            gzip.write_all(&bytes)?;
        }
        let assets = match &config.assets {
            Some(assets) => {
                let folder = root.join(&target.worker.folder).join(&assets.directory);
                Some(Assets::read(&folder, &mut all).with_context(|| format!("{} is not built", folder.display()))?)
            }
            None => None,
        };
        all.update(toml::to_string(&target.config)?);
        let mut tag = hex(&all.finalize());
        tag.truncate(16); // Cloudflare takes 25 at most
        Ok(Self { gzip: gzip.finish()?.len() as u64, wasm, assets, tag })
    }
}

impl Assets {
    /// Puts their names and contents into `all`.
    fn read(folder: &Path, all: &mut Sha256) -> Result<Self> {
        let (mut files, mut gzip) = (0, GzEncoder::new(Vec::new(), Compression::default()));
        let mut paths = project::files(folder)?;
        paths.sort();
        for path in &paths {
            let (name, bytes) = (path.strip_prefix(folder)?, fs::read(path)?);
            all.update(Sha256::digest(name.as_os_str().as_encoded_bytes()));
            all.update(Sha256::digest(&bytes));
            // These two say how the others are served.
            if name != Path::new("_headers") && name != Path::new("_redirects") {
                files += 1;
                gzip.write_all(&bytes)?;
            }
        }
        Ok(Self { files, gzip: gzip.finish()?.len() as u64 })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
