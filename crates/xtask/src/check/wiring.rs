//! Rule: whatever a `wrangler.toml` or a `pattern.toml` names exists, and what exists is named.
//!
//! A binding that leads nowhere fails at the first request, or at the deployment, which is later than here; what nothing
//! leads to is either forgotten or a door that nobody watches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Findings;
use super::source::{self, Export, Rust};
use crate::project::{Pattern, Project, Worker, folders};
use crate::wrangler::{Config, Kind};

/// Stand-ins that tests bind by themselves, without a pattern that names them.
const STAND_INS_OF_TESTS: [&str; 1] = ["faults"];

pub fn check(project: &Project, findings: &mut Findings) -> Result<()> {
    names(project, findings);
    for pattern in &project.patterns {
        parts(project, pattern, findings)?;
        queues(pattern, findings);
        for worker in &pattern.workers {
            let source = source::rust(&project.root, &worker.folder.join("src"))?;
            let exports = exports(project, worker)?;
            deployed_module(worker, findings);
            page(project, worker, findings)?;
            bindings(worker, &source, findings);
            events(worker, &source, findings);
            services(project, pattern, worker, findings)?;
            objects(project, pattern, worker, &exports, findings)?;
            entrypoints(pattern, worker, &exports, findings);
            database(project, pattern, worker, findings)?;
            secrets(project, worker, findings)?;
            reached(pattern, worker, findings);
        }
    }
    stand_ins(project, findings)
}

/// What an account has once under a name is one pattern's; a Worker's name is one Worker's.
fn names(project: &Project, findings: &mut Findings) {
    let mut owners = BTreeMap::new();
    for pattern in &project.patterns {
        for worker in &pattern.workers {
            for (kind, name) in worker.config.in_account() {
                let (owner, other) = *owners.entry((kind, name)).or_insert((&pattern.slug, worker));
                let harm = match kind {
                    "Worker" if other.folder != worker.folder => "one of them would replace the other",
                    _ if *owner != pattern.slug => {
                        "to tear one pattern down would delete it, and the other's data with it"
                    }
                    _ => continue,
                };
                findings.add(
                    wrangler_toml(worker),
                    format!(
                        "the {kind} {name} is {}'s as well: {harm}; give it a name of its own",
                        other.folder.display()
                    ),
                );
            }
        }
    }
}

fn wrangler_toml(worker: &Worker) -> PathBuf {
    worker.folder.join("wrangler.toml")
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    if names.is_empty() { "there is none".into() } else { format!("there is {}", names.join(", ")) }
}

fn exports(project: &Project, worker: &Worker) -> Result<BTreeMap<String, Export>> {
    let entry = worker.folder.join("src/entry.mjs");
    if !project.root.join(&entry).exists() {
        return Ok(BTreeMap::new());
    }
    Ok(source::exports(&source::read(&project.root, &entry)?))
}

/// The Worker of this name; those of other patterns are deployed by themselves, and cannot be bound to.
fn worker_named<'a>(pattern: &'a Pattern, name: &str) -> Option<&'a Worker> {
    pattern.workers.iter().find(|worker| worker.config.name == name)
}

/// `pattern.toml`: its Workers, what they are given in local runs, the data that is put there.
fn parts(project: &Project, pattern: &Pattern, findings: &mut Findings) -> Result<()> {
    let file = pattern.folder.join("pattern.toml");
    for toml in source::files(&project.root, &pattern.folder)?.iter().filter(|file| file.ends_with("wrangler.toml")) {
        let folder = toml.parent().unwrap_or(toml);
        let in_tests = folder.strip_prefix(&pattern.folder).is_ok_and(|rest| rest.starts_with("tests"));
        if !in_tests && !pattern.workers.iter().any(|worker| worker.folder == folder) {
            findings.add(toml, "no Worker of pattern.toml: add it to [[workers]] there, or delete it");
        }
    }

    let parts = pattern.about.workers.iter().zip(&pattern.workers);
    let known = |target: &str| {
        let name = target.split('#').next().unwrap_or(target);
        pattern.workers.iter().any(|worker| worker.id == name)
            || pattern.about.stand_ins.iter().any(|part| part.name == name)
    };
    for (part, worker) in parts {
        let env = worker.config.env();
        for name in part.bind.keys().chain(part.vars.keys()) {
            if !env.iter().any(|(_, bound)| bound == name) {
                findings.add(
                    &file,
                    format!(
                        "{} is given {name}, which its wrangler.toml does not name: \
                    what runs locally would not be what is deployed; add it there or take it away here",
                        worker.id
                    ),
                );
            }
        }
    }
    for (part, (binding, target)) in pattern
        .about
        .workers
        .iter()
        .chain(&pattern.about.stand_ins)
        .flat_map(|part| part.bind.iter().map(move |bind| (part, bind)))
    {
        if !known(target) {
            findings.add(
                &file,
                format!("{}'s {binding} leads to {target}: name a Worker or a stand-in of this pattern", part.name),
            );
        }
    }

    for edge in &pattern.about.mtls {
        let mut public = pattern.workers.iter().filter(|worker| worker.public);
        if !public.any(|worker| worker.id == pattern.id(&edge.before)) {
            findings
                .add(&file, format!("{} is before {}: name a public Worker of this pattern", edge.name, edge.before));
        }
        if known(&edge.name) || pattern.about.mtls.iter().filter(|other| other.name == edge.name).count() > 1 {
            findings.add(&file, format!("{} is the name of something else, too: choose another", edge.name));
        }
    }

    for seed in &pattern.about.seed {
        let id = pattern.id(&seed.worker);
        match pattern.workers.iter().find(|worker| worker.id == *id) {
            None => findings.add(
                &file,
                format!(
                    "seed for {id}: no such Worker; {}",
                    list(pattern.workers.iter().map(|worker| worker.id.as_str()))
                ),
            ),
            Some(worker) if !worker.config.kv_namespaces.iter().any(|kv| kv.binding == seed.kv) => findings.add(
                &file,
                format!(
                    "seed for {}: {id} has no such KV namespace; {}",
                    seed.kv,
                    list(worker.config.kv_namespaces.iter().map(|kv| kv.binding.as_str()))
                ),
            ),
            Some(_) => {}
        }
        if !project.root.join(&pattern.folder).join(&seed.file).is_file() {
            findings.add(&file, format!("seed: there is no file {}: add it, or take the entry away", seed.file));
        }
    }
    Ok(())
}

/// A stand-in that a pattern names exists, and one that exists is named by a pattern.
fn stand_ins(project: &Project, findings: &mut Findings) -> Result<()> {
    let local = Path::new("wrangler/local");
    let there = if project.root.join(local).is_dir() { folders(&project.root.join(local))? } else { Vec::new() };
    let mut named = Vec::from(STAND_INS_OF_TESTS.map(String::from));
    for pattern in &project.patterns {
        let file = pattern.folder.join("pattern.toml");
        for part in &pattern.about.stand_ins {
            let toml = local.join(&part.name).join("wrangler.toml");
            if !project.root.join(&toml).exists() {
                findings.add(&file, format!("stand-in {}: there is no {}", part.name, toml.display()));
                continue;
            }
            let config: toml::Table = crate::project::read_toml(&project.root.join(&toml))?;
            let known = config.get("vars").and_then(|vars| vars.as_table());
            for name in part.vars.keys().filter(|name| known.is_none_or(|known| !known.contains_key(*name))) {
                findings.add(
                    &file,
                    format!(
                        "stand-in {} is given {name}, which its wrangler.toml does not name in [vars]: add it there",
                        part.name
                    ),
                );
            }
            named.push(part.name.clone());
        }
    }
    for name in there.iter().filter(|name| !named.contains(name)) {
        findings.add(local.join(name), "no pattern.toml names this stand-in: delete it");
    }
    Ok(())
}

/// `main` is what `scripts/build` makes, and the build command makes it: what is deployed is what was tested.
fn deployed_module(worker: &Worker, findings: &mut Findings) {
    let Config { main, no_bundle, build, .. } = &worker.config;
    if main != "build/index.js" || !no_bundle {
        findings.add(
            wrangler_toml(worker),
            "deploys something else than ./scripts/build makes: main = \"build/index.js\", no_bundle = true",
        );
    }
    let wanted = format!("npm run --silent build {}", worker.folder.display());
    if build.as_ref().is_none_or(|build| build.command != wanted) {
        findings
            .add(wrangler_toml(worker), format!("builds something else, or nothing: [build] command = \"{wanted}\""));
    }
}

/// Static assets are what `scripts/build` makes of page/, and somebody reaches them.
fn page(project: &Project, worker: &Worker, findings: &mut Findings) -> Result<()> {
    const BUILT: &str = "build-page";
    let page = worker.folder.join("page");
    let there = !source::files(&project.root, &page)?.is_empty();
    let Some(assets) = &worker.config.assets else {
        if there {
            findings.add(page, format!("nobody serves it: add [assets] directory = \"{BUILT}\", or delete it"));
        }
        return Ok(());
    };
    if assets.directory != BUILT {
        findings.add(
            wrangler_toml(worker),
            format!(
                "serves {}, which ./scripts/build does not make: [assets] directory = \"{BUILT}\"",
                assets.directory
            ),
        );
    }
    if !there {
        findings.add(
            wrangler_toml(worker),
            format!("serves what is made of {}, where nothing is: add it, or take [assets] away", page.display()),
        );
    }
    if assets.behind_worker() && assets.binding.is_none() {
        findings.add(
            wrangler_toml(worker),
            "nobody reaches the static assets: with run_worker_first = true the Worker has to serve them, by a binding",
        );
    }
    Ok(())
}

/// What the Worker asks its `Env` for is bound, as what it takes it for; what is bound, its source names.
fn bindings(worker: &Worker, source: &[Rust], findings: &mut Findings) {
    let bound = worker.config.env();
    for asked in source::asked(source) {
        let place = format!("{}:{}", asked.file.display(), asked.line);
        let kind = match asked.method.as_str() {
            "var" | "object_var" => Some(Kind::Variable),
            "secret" => Some(Kind::Secret),
            "service" => Some(Kind::Service),
            "kv" => Some(Kind::Kv),
            "d1" => Some(Kind::D1),
            "bucket" => Some(Kind::R2),
            "queue" => Some(Kind::Queue),
            "durable_object" => Some(Kind::DurableObject),
            "rate_limiter" => Some(Kind::RateLimit),
            "assets" => Some(Kind::Assets),
            _ => None, // `get_binding` and others: bound as anything
        };
        let Some(name) = asked.name else {
            findings.add(
                place,
                format!(
                    "env.{}(..) asks for a name that is not seen here: write it as a literal or a constant",
                    asked.method
                ),
            );
            continue;
        };
        match bound.iter().find(|(_, bound)| *bound == name) {
            None => findings.add(
                place,
                format!("asks for {name}, which {} does not name: add it there", wrangler_toml(worker).display()),
            ),
            Some((is, _)) if kind.is_some_and(|kind| kind != *is) => {
                findings.add(
                    place,
                    format!(
                        "asks for {name} with env.{}(..), but in {} it is a {is:?}: one of them is wrong",
                        asked.method,
                        wrangler_toml(worker).display()
                    ),
                );
            }
            Some(_) => {}
        }
    }
    for (kind, name) in &bound {
        if !source::says(source, name) {
            findings.add(
                wrangler_toml(worker),
                format!("{kind:?} {name} is named nowhere in {}/src: use it or take it away", worker.folder.display()),
            );
        }
        if bound.iter().filter(|(_, other)| other == name).count() > 1 {
            findings.add(wrangler_toml(worker), format!("{name} is bound twice: only one of them is found"));
        }
    }
}

/// A schedule or a queue enters by an event of the source, and such an event has something that enters by it.
fn events(worker: &Worker, source: &[Rust], findings: &mut Findings) {
    let events = source::events(source);
    let expected = [
        ("scheduled", !worker.config.triggers.crons.is_empty(), "[triggers] crons"),
        ("queue", !worker.config.queues.consumers.is_empty(), "[[queues.consumers]]"),
    ];
    for (event, wanted, key) in expected {
        match (wanted, events.iter().any(|there| there == event)) {
            (true, false) => findings.add(
                wrangler_toml(worker),
                format!("has {key}, but nothing in src/ is #[event({event})]: add one, or take them away"),
            ),
            (false, true) => findings.add(
                wrangler_toml(worker),
                format!("src/ has #[event({event})], but there is no {key}: add them, or take it away"),
            ),
            _ => {}
        }
    }
    if worker.public && !events.iter().any(|event| event == "fetch") {
        findings.add(wrangler_toml(worker), "is public in pattern.toml, but nothing in src/ is #[event(fetch)]");
    }
}

/// A service binding leads to a Worker of the pattern, and to an entrypoint that it exports.
fn services(project: &Project, pattern: &Pattern, worker: &Worker, findings: &mut Findings) -> Result<()> {
    for service in &worker.config.services {
        let Some(target) = worker_named(pattern, &service.service) else {
            let names = list(pattern.workers.iter().map(|worker| worker.config.name.as_str()));
            findings.add(
                wrangler_toml(worker),
                format!(
                    "{} leads to {}, which no Worker of this pattern is called; {names}",
                    service.binding, service.service
                ),
            );
            continue;
        };
        if let Some(entrypoint) = &service.entrypoint {
            let exports = exports(project, target)?;
            if !exports.get(entrypoint).is_some_and(|export| *export != Export::Object) {
                let entry = target.folder.join("src/entry.mjs");
                findings.add(
                    wrangler_toml(worker),
                    format!(
                        "{} leads to the entrypoint {entrypoint}: {} exports none of that name",
                        service.binding,
                        entry.display()
                    ),
                );
            }
        }
    }
    Ok(())
}

/// The class of a Durable Object is exported by its Worker and made by a migration there, and each that is is bound somewhere.
fn objects(
    project: &Project,
    pattern: &Pattern,
    worker: &Worker,
    exported: &BTreeMap<String, Export>,
    findings: &mut Findings,
) -> Result<()> {
    let config = &worker.config;
    for object in &config.durable_objects.bindings {
        let home = object.script_name.as_deref().unwrap_or(&config.name);
        let Some(target) = worker_named(pattern, home) else {
            findings.add(
                wrangler_toml(worker),
                format!("{} is a class of {home}, which no Worker of this pattern is called", object.name),
            );
            continue;
        };
        let class = &object.class_name;
        if !exports(project, target)?.get(class).is_some_and(|export| *export != Export::Entrypoint) {
            findings.add(
                wrangler_toml(worker),
                format!(
                    "{} is of class {class}, which {}/src/entry.mjs does not export",
                    object.name,
                    target.folder.display()
                ),
            );
        }
        if !classes(&target.config).contains(&class.as_str()) {
            findings.add(
                wrangler_toml(target),
                format!(
                    "no migration makes the class {class}: add a [[migrations]] with \
                a new tag and new_sqlite_classes = [\"{class}\"]"
                ),
            );
        }
    }
    let bound = |class: &str| {
        pattern
            .workers
            .iter()
            .flat_map(|other| other.config.durable_objects.bindings.iter().map(move |object| (other, object)))
            .any(|(other, object)| {
                object.class_name == class && object.script_name.as_ref().unwrap_or(&other.config.name) == &config.name
            })
    };
    for class in classes(config) {
        if !bound(class) {
            findings.add(
                wrangler_toml(worker),
                format!(
                    "a migration makes the class {class}, which no \
                [[durable_objects.bindings]] names: bind it, or delete it with deleted_classes in a new migration"
                ),
            );
        }
    }
    for (class, _) in exported.iter().filter(|(_, export)| **export == Export::Object) {
        if !bound(class) {
            findings.add(
                worker.folder.join("src/entry.mjs"),
                format!(
                    "exports the Durable Object {class}, \
                which no [[durable_objects.bindings]] names: bind it or take it away"
                ),
            );
        }
    }
    let tags: Vec<_> = config.migrations.iter().map(|migration| &migration.tag).collect();
    for (i, tag) in tags.iter().enumerate() {
        if tags.iter().take(i).any(|earlier| earlier == tag) {
            findings.add(
                wrangler_toml(worker),
                format!("two migrations have the tag {tag}: the second is never applied; give it one of its own"),
            );
        }
    }
    Ok(())
}

/// The Durable Object classes that the migrations leave.
fn classes(config: &Config) -> Vec<&str> {
    let mut all: Vec<&str> = Vec::new();
    for migration in &config.migrations {
        all.extend(migration.new_sqlite_classes.iter().map(String::as_str));
        all.retain(|class| !migration.deleted_classes.iter().any(|deleted| deleted == class));
    }
    all
}

/// Somebody calls each entrypoint.
fn entrypoints(pattern: &Pattern, worker: &Worker, exports: &BTreeMap<String, Export>, findings: &mut Findings) {
    for (name, _) in exports.iter().filter(|(_, export)| **export == Export::Entrypoint) {
        let bound = pattern
            .workers
            .iter()
            .flat_map(|other| &other.config.services)
            .any(|service| service.service == worker.config.name && service.entrypoint.as_ref() == Some(name));
        let target = format!("{}#{name}", worker.id);
        let locally = pattern.about.stand_ins.iter().flat_map(|part| part.bind.values()).any(|bind| *bind == target);
        if !bound && !locally {
            findings.add(
                worker.folder.join("src/entry.mjs"),
                format!("exports the entrypoint {name}, which no service binding names: bind it or take it away"),
            );
        }
    }
}

/// What is sent to a queue is taken from it by somebody, and the other way round.
fn queues(pattern: &Pattern, findings: &mut Findings) {
    let all = |of: fn(&Worker) -> Vec<&str>| pattern.workers.iter().flat_map(of).collect::<Vec<_>>();
    let produced =
        all(|worker| worker.config.queues.producers.iter().map(|producer| producer.queue.as_str()).collect());
    let consumed =
        all(|worker| worker.config.queues.consumers.iter().map(|consumer| consumer.queue.as_str()).collect());
    let dead = all(|worker| {
        worker.config.queues.consumers.iter().filter_map(|consumer| consumer.dead_letter_queue.as_deref()).collect()
    });
    for worker in &pattern.workers {
        for producer in &worker.config.queues.producers {
            if !consumed.contains(&producer.queue.as_str()) {
                findings.add(
                    wrangler_toml(worker),
                    format!(
                        "nothing consumes the queue {}: its messages are deleted \
                    after some days; add [[queues.consumers]] to a Worker",
                        producer.queue
                    ),
                );
            }
        }
        for consumer in &worker.config.queues.consumers {
            let queue = consumer.queue.as_str();
            if !produced.contains(&queue) && !dead.contains(&queue) {
                findings.add(
                    wrangler_toml(worker),
                    format!(
                        "nothing sends to the queue {queue}: add \
                    [[queues.producers]] to a Worker, or take the consumer away"
                    ),
                );
            }
            if consumed.iter().filter(|other| **other == queue).count() > 1 {
                findings
                    .add(wrangler_toml(worker), format!("the queue {queue} has two consumers: Cloudflare allows one"));
            }
        }
    }
}

/// A D1 database has migrations with one of the Workers that bind it, and migrations have a database.
fn database(project: &Project, pattern: &Pattern, worker: &Worker, findings: &mut Findings) -> Result<()> {
    let has = |worker: &Worker, folder: &str| -> Result<bool> {
        let files = source::files(&project.root, &worker.folder.join(folder))?;
        Ok(files.iter().any(|file| file.extension().is_some_and(|extension| extension == "sql")))
    };
    for db in &worker.config.d1_databases {
        let mut found = false;
        for other in &pattern.workers {
            for same in other.config.d1_databases.iter().filter(|same| same.database_name == db.database_name) {
                found |= has(other, same.migrations_dir.as_deref().unwrap_or("migrations"))?;
            }
        }
        if !found {
            let folder = worker.folder.join(db.migrations_dir.as_deref().unwrap_or("migrations"));
            findings.add(
                wrangler_toml(worker),
                format!("the database {} has no tables: {} has no .sql file", db.database_name, folder.display()),
            );
        }
    }
    let uses = |folder: &str| {
        worker.config.d1_databases.iter().any(|db| db.migrations_dir.as_deref().unwrap_or("migrations") == folder)
    };
    if has(worker, "migrations")? && !uses("migrations") {
        findings.add(
            worker.folder.join("migrations"),
            "no [[d1_databases]] of this Worker uses them: bind the database, or delete them",
        );
    }
    Ok(())
}

/// Who copies the example has every secret, and no more.
fn secrets(project: &Project, worker: &Worker, findings: &mut Findings) -> Result<()> {
    let file = worker.folder.join(".dev.vars.example");
    let text = if project.root.join(&file).exists() { source::read(&project.root, &file)? } else { String::new() };
    let example: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
        .collect();
    let required = &worker.config.secrets.required;
    for name in required.iter().filter(|name| !example.contains(&name.as_str())) {
        findings.add(
            &file,
            format!(
                "the secret {name} of wrangler.toml is missing: add {name}=, with a value \
            that is good for local runs only"
            ),
        );
    }
    for name in example.iter().filter(|name| !required.iter().any(|secret| secret == *name)) {
        findings
            .add(&file, format!("{name} is no secret of wrangler.toml: add it to [secrets] required, or take it away"));
    }
    Ok(())
}

/// Something leads to each internal Worker.
fn reached(pattern: &Pattern, worker: &Worker, findings: &mut Findings) {
    let name = &worker.config.name;
    let called = pattern.workers.iter().filter(|other| other.config.name != *name).any(|other| {
        other.config.services.iter().any(|service| service.service == *name)
            || other.config.durable_objects.bindings.iter().any(|object| object.script_name.as_ref() == Some(name))
    });
    if !worker.public && !called && worker.config.queues.consumers.is_empty() && worker.config.triggers.crons.is_empty()
    {
        findings.add(
            wrangler_toml(worker),
            format!("nothing leads to {name}: no service binding, queue or schedule; bind it, or delete it"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{ABOUT, API, STOCK, Tree};
    use super::check;

    const API_LIB: &str = "patterns/shop/api/src/lib.rs";
    const STOCK_LIB: &str = "patterns/shop/stock/src/lib.rs";
    const STOCK_ENTRY: &str = "patterns/shop/stock/src/entry.mjs";

    /// The good project with one line changed breaks the rule, in this file and with these words.
    #[track_caller]
    fn found(file: &str, from: &str, to: &str, where_it_is: &str, words: &str) {
        Tree::good().edit(file, from, to).breaks(check, where_it_is, words);
    }

    #[test]
    fn a_project_in_which_everything_is_named_keeps_it() {
        Tree::good().keeps(check);
    }

    #[test]
    fn a_service_binding_leads_to_a_worker_that_exists() {
        // and the entrypoint is left without a binding
        Tree::good().edit(API, "service = \"shop-stock\"", "service = \"note\"").also_breaks(
            check,
            API,
            "STOCK leads to note, which no Worker of this pattern",
        );
    }

    #[test]
    fn a_service_binding_leads_to_an_entrypoint_that_is_exported() {
        // and the entrypoint is left without a binding
        Tree::good().edit(API, "entrypoint = \"Stock\"", "entrypoint = \"Stocks\"").also_breaks(
            check,
            API,
            "exports none of that name",
        );
    }

    #[test]
    fn an_object_is_no_entrypoint() {
        // and the entrypoint is left without a binding
        Tree::good().edit(API, "entrypoint = \"Stock\"", "entrypoint = \"Shelf\"").also_breaks(
            check,
            API,
            "exports none of that name",
        );
    }

    #[test]
    fn an_exported_entrypoint_is_bound() {
        Tree::good().add(STOCK_ENTRY, "export const Spare = rpc(\"call\");\n").breaks(
            check,
            STOCK_ENTRY,
            "exports the entrypoint Spare",
        );
    }

    #[test]
    fn an_internal_worker_is_reached_by_something() {
        let alone = "name = \"spare\"\nmain = \"build/index.js\"\nno_bundle = true\ncompatibility_date = \
            \"2026-11-17\"\n\
            build = { command = \"npm run --silent build patterns/shop/spare\" }\n";
        let tree = Tree::good().put("patterns/shop/spare/wrangler.toml", alone);
        tree.edit(ABOUT, "[[stand-ins]]", "[[workers]]\nname = \"spare\"\n\n[[stand-ins]]").breaks(
            check,
            "patterns/shop/spare",
            "nothing leads to spare",
        );
    }

    #[test]
    fn two_workers_of_one_name_would_replace_each_other() {
        found(
            "patterns/note/wrangler.toml",
            "name = \"note\"",
            "name = \"shop-api\"",
            API,
            "is patterns/note's as well",
        );
    }

    /// Where another pattern has this as well, the rule finds it in this file.
    #[track_caller]
    fn shared(with_note: &str, file: &str, words: &str) {
        Tree::good().add("patterns/note/wrangler.toml", with_note).also_breaks(
            check,
            file,
            &format!("the {words} is patterns/note's as well"),
        );
    }

    #[test]
    fn a_database_is_one_patterns() {
        let db = "[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"shop\"\ndatabase_id = \"0\"\n";
        shared(db, STOCK, "D1 database shop");
    }

    #[test]
    fn a_bucket_is_one_patterns() {
        let bucket = "\n[[r2_buckets]]\nbinding = \"FILES\"\nbucket_name = \"files\"\n";
        Tree::good().add("patterns/note/wrangler.toml", bucket).add(API, bucket).also_breaks(
            check,
            API,
            "the R2 bucket files is patterns/note's as well",
        );
    }

    #[test]
    fn a_queue_is_one_patterns() {
        let producer = "[[queues.producers]]\nbinding = \"JOBS\"\nqueue = \"shop-jobs\"\n";
        shared(producer, API, "queue shop-jobs");
        shared("[[queues.consumers]]\nqueue = \"shop-jobs-dead\"\n", STOCK, "queue shop-jobs-dead");
    }

    #[test]
    fn what_the_source_asks_for_is_bound() {
        found(
            API_LIB,
            "env.kv(\"PLANS\")",
            "env.kv(\"PLANS\"), env.kv(\"PRICES\")",
            "patterns/shop/api/src/lib.rs:6",
            "asks for PRICES",
        );
    }

    #[test]
    fn what_the_source_asks_for_by_a_constant_is_bound() {
        found(
            API_LIB,
            "const JOBS: &str = \"JOBS\";",
            "const JOBS: &str = \"JOBS\";\nconst MORE: &str = \"MORE\";\nfn f(env: Env) { env.queue(config::MORE) }",
            API_LIB,
            "asks for MORE",
        );
    }

    #[test]
    fn a_name_that_is_put_together_is_refused() {
        found(
            API_LIB,
            "env.queue(JOBS)",
            "env.queue(JOBS), env.queue(name)",
            API_LIB,
            "asks for a name that is not seen",
        );
    }

    #[test]
    fn what_the_source_asks_for_is_of_the_kind_that_is_bound() {
        found(API_LIB, "env.secret(\"SALT\")", "env.var(\"SALT\")", API_LIB, "it is a Secret");
    }

    #[test]
    fn what_is_bound_is_named_in_the_source() {
        found(API_LIB, "env.var(\"TEAM\"), ", "", API, "TEAM is named nowhere");
    }

    #[test]
    fn a_binding_that_only_tests_name_is_not_used() {
        found(
            API_LIB,
            "env.var(\"TEAM\"), ",
            "());\n}\n\n#[cfg(test)]\nfn tested(env: Env) {\n    env.var(\"TEAM\");\n}\n\nfn rest(env: Env) {\n    (",
            API,
            "TEAM is named nowhere",
        );
    }

    #[test]
    fn a_name_is_bound_once() {
        let findings = Tree::good().edit(API, "TEAM = \"\"", "TEAM = \"\"\nPLANS = \"\"").findings(check);
        assert!(findings.iter().any(|found| found.contains("PLANS is bound twice")), "{findings:#?}");
    }

    #[test]
    fn an_object_is_of_a_class_that_is_exported() {
        let findings = Tree::good().edit(STOCK_ENTRY, "export const Shelf", "const Shelf").findings(check);
        assert_eq!(findings.len(), 2, "both Workers that bind it: {findings:#?}");
        assert!(findings.iter().all(|found| found.contains("does not export")), "{findings:#?}");
    }

    #[test]
    fn an_object_is_of_a_class_that_a_migration_makes() {
        let findings =
            Tree::good().edit(STOCK, "new_sqlite_classes = [\"Shelf\"]", "new_sqlite_classes = []").findings(check);
        assert!(
            findings
                .iter()
                .all(|found| found.starts_with(STOCK) && found.contains("no migration makes the class Shelf")),
            "{findings:#?}"
        );
        assert!(!findings.is_empty());
    }

    #[test]
    fn a_class_that_a_later_migration_deletes_is_not_there() {
        let findings =
            Tree::good().add(STOCK, "\n[[migrations]]\ntag = \"v2\"\ndeleted_classes = [\"Shelf\"]\n").findings(check);
        assert!(findings.iter().any(|found| found.contains("no migration makes the class Shelf")), "{findings:#?}");
    }

    #[test]
    fn a_class_that_a_migration_makes_is_bound() {
        found(STOCK, "[\"Shelf\"]", "[\"Shelf\", \"Box\"]", STOCK, "makes the class Box, which no");
    }

    #[test]
    fn a_class_that_is_exported_is_bound() {
        Tree::good().add(STOCK_ENTRY, "export const Box = object(\"Box\");\n").breaks(
            check,
            STOCK_ENTRY,
            "exports the Durable Object Box",
        );
    }

    #[test]
    fn a_migration_has_a_tag_of_its_own() {
        Tree::good().add(STOCK, "\n[[migrations]]\ntag = \"v1\"\n").breaks(
            check,
            STOCK,
            "two migrations have the tag v1",
        );
    }

    #[test]
    fn a_queue_that_is_sent_to_is_consumed() {
        let findings = Tree::good().edit(API, "queue = \"shop-jobs\"", "queue = \"shop-job\"").findings(check);
        assert_eq!(findings.len(), 2, "the queue without a consumer, and the consumer without a queue: {findings:#?}");
        assert!(
            findings
                .iter()
                .any(|found| found.starts_with(API) && found.contains("nothing consumes the queue shop-job:"))
        );
        assert!(
            findings
                .iter()
                .any(|found| found.starts_with(STOCK) && found.contains("nothing sends to the queue shop-jobs:"))
        );
    }

    #[test]
    fn a_dead_letter_queue_may_be_consumed_like_another() {
        Tree::good()
            .edit(STOCK, "[triggers]", "[[queues.consumers]]\nqueue = \"shop-jobs-dead\"\n\n[triggers]")
            .keeps(check);
    }

    #[test]
    fn a_schedule_enters_by_an_event() {
        found(STOCK_LIB, "#[event(scheduled)]", "", STOCK, "nothing in src/ is #[event(scheduled)]");
    }

    #[test]
    fn an_event_has_something_that_enters_by_it() {
        found(STOCK, "crons = [\"0 3 * * *\"]", "crons = []", STOCK, "but there is no [triggers] crons");
    }

    #[test]
    fn a_public_worker_has_a_way_in() {
        found(
            "patterns/note/src/lib.rs",
            "#[event(fetch)]",
            "",
            "patterns/note/wrangler.toml",
            "nothing in src/ is #[event(fetch)]",
        );
    }

    #[test]
    fn a_database_has_migrations() {
        Tree::good().without("patterns/shop/stock/migrations/0001_items.sql").breaks(check, STOCK, "has no .sql file");
    }

    #[test]
    fn migrations_have_a_database() {
        Tree::good().put("patterns/shop/api/migrations/0001_x.sql", "SELECT 1;").breaks(
            check,
            "patterns/shop/api/migrations",
            "no [[d1_databases]]",
        );
    }

    #[test]
    fn the_build_command_names_the_workers_own_folder() {
        found(API, "build patterns/shop/api", "build patterns/shop/stock", API, "builds something else");
    }

    #[test]
    fn what_is_deployed_is_what_was_built() {
        found(API, "no_bundle = true", "no_bundle = false", API, "deploys something else");
    }

    #[test]
    fn a_pattern_of_one_worker_may_have_all_that_is_the_workers_own() {
        let bound = r#"
[secrets]
required = ["SALT"]

[[durable_objects.bindings]]
name = "PAGES"
class_name = "Page"

[[migrations]]
tag = "v1"
new_sqlite_classes = ["Page"]

[[ratelimits]]
name = "LIMIT"
namespace_id = "1"
simple = { limit = 10, period = 60 }

[assets]
directory = "build-page"
run_worker_first = ["/notes/*"]
"#;
        let asked = "#[event(fetch)]\nfn fetch(env: Env) {\n    (env.secret(\"SALT\"), \
            env.durable_object(\"PAGES\"), env.rate_limiter(\"LIMIT\"));\n}\n";
        let object = "export default handlers;\nexport const Page = object(\"Page\");\n";
        Tree::good()
            .add("patterns/note/wrangler.toml", bound)
            .put("patterns/note/src/lib.rs", asked)
            .put("patterns/note/src/entry.mjs", object)
            .put("patterns/note/.dev.vars.example", "SALT=local\n")
            .put("patterns/note/page/index.html", "")
            .keeps(check);
    }

    #[test]
    fn static_assets_are_what_was_built() {
        found(API, "\"build-page\"", "\"page\"", API, "serves page, which ./scripts/build does not make");
    }

    #[test]
    fn static_assets_have_sources() {
        Tree::good().without("patterns/shop/api/page/index.html").breaks(check, API, "where nothing is");
    }

    #[test]
    fn a_page_is_served() {
        Tree::good().put("patterns/shop/stock/page/index.html", "").breaks(
            check,
            "patterns/shop/stock/page",
            "nobody serves it",
        );
    }

    #[test]
    fn static_assets_behind_the_worker_are_bound() {
        Tree::good().edit(API, "binding = \"PAGE\"", "binding = \"PAGE\"\nrun_worker_first = true").keeps(check);
        // and the source asks for the binding that is gone
        Tree::good().edit(API, "binding = \"PAGE\"", "run_worker_first = true").also_breaks(
            check,
            API,
            "nobody reaches the static assets",
        );
        Tree::good()
            .edit(API, "binding = \"PAGE\"", "binding = \"PAGE\"\nrun_worker_first = [\"/orders/*\"]")
            .keeps(check);
    }

    #[test]
    fn a_secret_has_an_example() {
        found(
            "patterns/shop/api/.dev.vars.example",
            "SALT=local",
            "",
            "patterns/shop/api/.dev.vars.example",
            "the secret SALT",
        );
    }

    #[test]
    fn an_example_is_of_a_secret() {
        found(
            "patterns/shop/api/.dev.vars.example",
            "SALT=local",
            "SALT=local\nPEPPER=local",
            "patterns/shop/api/.dev.vars.example",
            "PEPPER is no secret",
        );
    }

    #[test]
    fn every_worker_in_a_patterns_folder_is_one_of_it() {
        Tree::good().put("patterns/shop/spare/wrangler.toml", "").breaks(
            check,
            "patterns/shop/spare/wrangler.toml",
            "no Worker of pattern.toml",
        );
    }

    #[test]
    fn what_is_given_in_local_runs_is_bound_in_production() {
        found(ABOUT, "vars = { TEAM = \"{url:door}\" }", "vars = { TEAMS = \"\" }", ABOUT, "api is given TEAMS");
    }

    #[test]
    fn a_stand_in_stands_before_a_worker_that_exists() {
        found(ABOUT, "ORIGIN = \"api\"", "ORIGIN = \"apy\"", ABOUT, "ORIGIN leads to apy");
    }

    #[test]
    fn a_stand_in_that_is_named_exists() {
        let findings = Tree::good().edit(ABOUT, "name = \"door\"", "name = \"gate\"").findings(check);
        assert!(
            findings.iter().any(|found| found.contains("there is no wrangler/local/gate/wrangler.toml")),
            "{findings:#?}"
        );
        assert!(
            findings.iter().any(|found| found.starts_with("wrangler/local/door: no pattern.toml names this")),
            "{findings:#?}"
        );
    }

    #[test]
    fn a_stand_in_is_given_variables_that_it_has() {
        found(
            ABOUT,
            "vars = { TEAM = \"local\" }",
            "vars = { TEEM = \"local\" }",
            ABOUT,
            "stand-in door is given TEEM",
        );
    }

    #[test]
    fn an_edge_is_before_a_public_worker_and_has_a_name_of_its_own() {
        let edge = |text: &str| Tree::good().add(ABOUT, &format!("\n[[mtls]]\n{text}\n"));
        edge("name = \"tls\"\nbefore = \"api\"").keeps(check);
        edge("name = \"tls\"\nbefore = \"stock\"").breaks(check, ABOUT, "tls is before stock: name a public Worker");
        edge("name = \"door\"\nbefore = \"api\"").breaks(check, ABOUT, "door is the name of something else, too");
    }

    #[test]
    fn a_seed_is_for_a_namespace_that_exists() {
        found(ABOUT, "kv = \"PLANS\"", "kv = \"PRICES\"", ABOUT, "api has no such KV namespace; there is PLANS");
    }

    #[test]
    fn a_seed_has_a_file() {
        Tree::good().without("patterns/shop/seed.json").breaks(check, ABOUT, "there is no file seed.json");
    }
}
