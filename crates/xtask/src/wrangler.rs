//! A Worker's `wrangler.toml`, as far as patterns use it. An unknown key is an error, so that a new kind of binding is taught
//! to the checks, diagrams and the deployment before a pattern uses it.
//! <https://developers.cloudflare.com/workers/wrangler/configuration/>

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub name: String,
    pub main: String,
    #[serde(default)]
    pub no_bundle: bool,
    #[expect(dead_code, reason = "known, and nothing here depends on it")]
    pub compatibility_date: String,
    #[expect(dead_code, reason = "known, and nothing here depends on it")]
    #[serde(default)]
    pub compatibility_flags: Vec<String>,
    /// Wrangler's default is true.
    #[serde(default = "yes")]
    pub workers_dev: bool,
    /// Wrangler's default is that of `workers_dev`.
    pub preview_urls: Option<bool>,
    #[serde(default)]
    pub routes: Vec<toml::Value>,
    pub route: Option<toml::Value>,
    pub build: Option<Build>,
    #[serde(default)]
    pub vars: BTreeMap<String, toml::Value>,
    #[serde(default)]
    pub secrets: Secrets,
    #[serde(default)]
    pub services: Vec<Service>,
    #[serde(default)]
    pub kv_namespaces: Vec<Kv>,
    #[serde(default)]
    pub d1_databases: Vec<D1>,
    #[serde(default)]
    pub r2_buckets: Vec<R2>,
    #[serde(default)]
    pub queues: Queues,
    #[serde(default)]
    pub durable_objects: DurableObjects,
    #[serde(default)]
    pub migrations: Vec<Migration>,
    #[serde(default)]
    pub ratelimits: Vec<RateLimit>,
    pub assets: Option<Assets>,
    #[serde(default)]
    pub triggers: Triggers,
    #[expect(dead_code, reason = "known, and nothing here depends on it")]
    pub observability: Option<toml::Value>,
}

fn yes() -> bool {
    true
}

/// What a name in `Env` stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Variable,
    Secret,
    Service,
    Kv,
    D1,
    R2,
    Queue,
    DurableObject,
    RateLimit,
    Assets,
}

impl Config {
    /// Everything that the Worker finds in its `Env`, with its name there.
    pub fn env(&self) -> Vec<(Kind, &str)> {
        let mut all = Vec::new();
        all.extend(self.vars.keys().map(|name| (Kind::Variable, name.as_str())));
        all.extend(self.secrets.required.iter().map(|name| (Kind::Secret, name.as_str())));
        all.extend(self.services.iter().map(|service| (Kind::Service, service.binding.as_str())));
        all.extend(self.kv_namespaces.iter().map(|kv| (Kind::Kv, kv.binding.as_str())));
        all.extend(self.d1_databases.iter().map(|db| (Kind::D1, db.binding.as_str())));
        all.extend(self.r2_buckets.iter().map(|bucket| (Kind::R2, bucket.binding.as_str())));
        all.extend(self.queues.producers.iter().map(|queue| (Kind::Queue, queue.binding.as_str())));
        all.extend(self.durable_objects.bindings.iter().map(|object| (Kind::DurableObject, object.name.as_str())));
        all.extend(self.ratelimits.iter().map(|limit| (Kind::RateLimit, limit.name.as_str())));
        let assets = self.assets.iter().filter_map(|assets| assets.binding.as_ref());
        all.extend(assets.map(|binding| (Kind::Assets, binding.as_str())));
        all
    }

    /// What an account has once under this name: what it is, and the name.
    pub fn in_account(&self) -> BTreeSet<(&'static str, &str)> {
        let Queues { producers, consumers } = &self.queues;
        let queues = producers.iter().map(|producer| &producer.queue).chain(
            consumers.iter().flat_map(|consumer| [&consumer.queue].into_iter().chain(&consumer.dead_letter_queue)),
        );
        let mut all = BTreeSet::from([("Worker", self.name.as_str())]);
        all.extend(self.d1_databases.iter().map(|db| ("D1 database", db.database_name.as_str())));
        all.extend(self.r2_buckets.iter().map(|bucket| ("R2 bucket", bucket.bucket_name.as_str())));
        all.extend(queues.map(|queue| ("queue", queue.as_str())));
        all
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub command: String,
}

/// Names only: values are set with `wrangler secret put`, and locally in `.dev.vars`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    #[serde(default)]
    pub required: Vec<String>,
}

/// Another Worker.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "wrangler's own name for it")]
pub struct Service {
    pub binding: String,
    /// Its `name`.
    pub service: String,
    /// What it exports; its default export, where absent.
    pub entrypoint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kv {
    pub binding: String,
    #[expect(dead_code, reason = "known, and nothing here depends on it")]
    pub id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct D1 {
    pub binding: String,
    pub database_name: String,
    #[expect(dead_code, reason = "known, and nothing here depends on it")]
    pub database_id: String,
    /// From the Worker's folder; `migrations` where absent.
    pub migrations_dir: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct R2 {
    pub binding: String,
    pub bucket_name: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queues {
    #[serde(default)]
    pub producers: Vec<Producer>,
    #[serde(default)]
    pub consumers: Vec<Consumer>,
}

#[derive(Deserialize)]
pub struct Producer {
    pub binding: String,
    pub queue: String,
}

#[derive(Deserialize)]
pub struct Consumer {
    pub queue: String,
    pub dead_letter_queue: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DurableObjects {
    #[serde(default)]
    pub bindings: Vec<DurableObject>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DurableObject {
    pub name: String,
    pub class_name: String,
    /// The Worker that has the class; this one, where absent.
    pub script_name: Option<String>,
}

/// A step in the life of the Worker's Durable Object classes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    pub tag: String,
    #[serde(default)]
    pub new_sqlite_classes: Vec<String>,
    #[serde(default)]
    pub deleted_classes: Vec<String>,
}

#[derive(Deserialize)]
pub struct RateLimit {
    pub name: String,
}

/// Files that Cloudflare serves at the Worker's addresses; what is none goes to the Worker.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assets {
    /// From the Worker's folder.
    pub directory: String,
    pub binding: Option<String>,
    /// Whether all requests go to the Worker first, or to which paths.
    run_worker_first: Option<toml::Value>,
    #[expect(dead_code, reason = "known, and nothing here depends on it")]
    html_handling: Option<String>,
    #[expect(dead_code, reason = "known, and nothing here depends on it")]
    not_found_handling: Option<String>,
}

impl Assets {
    /// Only the Worker serves them, by its binding.
    pub fn behind_worker(&self) -> bool {
        self.run_worker_first == Some(true.into())
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    #[serde(default)]
    pub crons: Vec<String>,
}
