//! A pattern's wiring as a Mermaid flowchart, from its `wrangler.toml` files and `pattern.toml`.
//!
//! Only nodes with a quoted label, arrows with a quoted label and one subgraph are written: what every version of Mermaid reads.

use std::collections::BTreeMap;

use crate::project::{Part, Pattern, Worker};

#[derive(Default)]
struct Chart {
    /// In the order in which they came up: a name there, brackets that are its shape, what is written in it.
    nodes: Vec<(String, [&'static str; 2], String)>,
    edges: Vec<String>,
}

const OUTSIDE: [&str; 2] = ["([", "])"];
const WORKER: [&str; 2] = ["[", "]"];
const STORE: [&str; 2] = ["[(", ")]"];
const OBJECT: [&str; 2] = ["[[", "]]"];
const QUEUE: [&str; 2] = ["[/", "/]"];
const SERVICE: [&str; 2] = ["{{", "}}"];

impl Chart {
    /// A node of this shape and label, made once.
    fn node(&mut self, shape: [&'static str; 2], label: &str) -> String {
        if let Some((id, ..)) = self.nodes.iter().find(|(_, its, text)| *its == shape && text == label) {
            return id.clone();
        }
        let id = self.free(shape, label);
        self.nodes.push((id.clone(), shape, label.to_owned()));
        id
    }

    /// A name for this label that reads like it, is no keyword of Mermaid's, and that no other node has.
    fn free(&self, shape: [&'static str; 2], label: &str) -> String {
        let first = label.split('<').next().unwrap_or(label);
        let words: Vec<_> = first.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let id = format!("{}{}", if shape == WORKER { "worker_" } else { "" }, words.join("_"));
        let like_it =
            self.nodes.iter().filter(|(other, ..)| *other == id || other.starts_with(&format!("{id}__"))).count();
        if like_it == 0 { id } else { format!("{id}__{}", like_it + 1) }
    }

    fn edge(&mut self, from: &str, arrow: &str, label: &str, to: &str) {
        let label = if label.is_empty() { String::new() } else { format!("|\"{}\"|", escape(label)) };
        self.edges.push(format!("  {from} {arrow}{label} {to}"));
    }
}

fn escape(label: &str) -> String {
    label.replace('"', "#quot;")
}

pub fn mermaid(pattern: &Pattern) -> String {
    let mut chart = Chart::default();
    let about = &pattern.about;
    let ids: BTreeMap<_, _> =
        pattern.workers.iter().map(|worker| (&worker.config.name, chart.node(WORKER, &worker.id))).collect();
    let id = |worker: &Worker| ids.get(&worker.config.name).cloned().unwrap_or_default();
    let stand_in =
        |chart: &mut Chart, part: &Part| chart.node(SERVICE, &format!("{}<br/>(locally a stand-in)", part.name));

    let assets = |chart: &mut Chart, worker: &Worker| chart.node(STORE, &format!("static assets of {}", worker.id));

    for worker in pattern.workers.iter().filter(|worker| worker.public) {
        let before =
            about.stand_ins.iter().find(|part| part.public && part.bind.values().any(|target| *target == worker.id));
        let client = chart.node(OUTSIDE, "client");
        let from = if let Some(before) = before {
            let before = stand_in(&mut chart, before);
            chart.edge(&client, "-->", "", &before);
            chart.edge(&before, "-->", "", &id(worker));
            before
        } else {
            chart.edge(&client, "-->", &door(worker), &id(worker));
            client.clone()
        };
        if worker.config.assets.as_ref().is_some_and(|assets| !assets.behind_worker()) {
            let to = assets(&mut chart, worker);
            chart.edge(&from, "-->", "files", &to);
        }
        for edge in about.mtls.iter().filter(|edge| pattern.id(&edge.before) == worker.id) {
            let edge = chart.node(SERVICE, &format!("{}<br/>(locally a TLS server)", edge.name));
            chart.edge(&client, "-->", "client certificate", &edge);
            chart.edge(&edge, "-->", "", &id(worker));
        }
    }

    for (part, worker) in about.workers.iter().zip(&pattern.workers) {
        let (config, from) = (&worker.config, id(worker));
        for cron in &config.triggers.crons {
            let cron = chart.node(OUTSIDE, &format!("cron {cron}"));
            chart.edge(&cron, "-->", "", &from);
        }
        for service in &config.services {
            let entrypoint =
                service.entrypoint.as_ref().map_or(String::new(), |entrypoint| format!(", entrypoint {entrypoint}"));
            let to = ids.get(&service.service).cloned().unwrap_or_else(|| chart.node(WORKER, &service.service));
            chart.edge(&from, "-->", &format!("{}: service binding{entrypoint}", service.binding), &to);
        }
        for kv in &config.kv_namespaces {
            let to = chart.node(STORE, &format!("KV {}", kv.binding));
            chart.edge(&from, "-->", &kv.binding, &to);
        }
        for db in &config.d1_databases {
            let to = chart.node(STORE, &format!("D1 {}", db.database_name));
            chart.edge(&from, "-->", &db.binding, &to);
        }
        for bucket in &config.r2_buckets {
            let to = chart.node(STORE, &format!("R2 {}", bucket.bucket_name));
            chart.edge(&from, "-->", &bucket.binding, &to);
        }
        for object in &config.durable_objects.bindings {
            let to = chart.node(OBJECT, &format!("Durable Object {}", object.class_name));
            chart.edge(&from, "-->", &object.name, &to);
        }
        for limit in &config.ratelimits {
            let to = chart.node(SERVICE, &format!("rate limit {}", limit.name));
            chart.edge(&from, "-->", &limit.name, &to);
        }
        if let Some(binding) = config.assets.as_ref().and_then(|assets| assets.binding.as_ref()) {
            let to = assets(&mut chart, worker);
            chart.edge(&from, "-->", binding, &to);
        }
        for producer in &config.queues.producers {
            let to = chart.node(QUEUE, &format!("queue {}", producer.queue));
            chart.edge(&from, "-->", &producer.binding, &to);
        }
        for consumer in &config.queues.consumers {
            let queue = chart.node(QUEUE, &format!("queue {}", consumer.queue));
            chart.edge(&queue, "-->", "", &from);
            if let Some(dead) = &consumer.dead_letter_queue {
                let dead = chart.node(QUEUE, &format!("queue {dead}"));
                chart.edge(&queue, "-.->", "what keeps failing", &dead);
            }
        }
        for other in &about.stand_ins {
            let url = format!("{{url:{}}}", other.name);
            let names = part.vars.iter().filter(|(_, value)| value.as_str().is_some_and(|value| value.contains(&url)));
            let names = names.map(|(name, _)| name.as_str()).chain(
                part.bind
                    .iter()
                    .filter(|(_, target)| target.split('#').next() == Some(&other.name))
                    .map(|(name, _)| name.as_str()),
            );
            for name in names {
                let to = stand_in(&mut chart, other);
                chart.edge(&from, "-.->", name, &to);
            }
        }
    }
    write(&chart, pattern)
}

/// How the Worker is reached from outside.
fn door(worker: &Worker) -> String {
    let routes = worker.config.routes.iter().chain(&worker.config.route);
    let patterns = routes.filter_map(|route| route.as_str().or_else(|| route.get("pattern")?.as_str()));
    let mut doors: Vec<_> = patterns.collect();
    if worker.config.workers_dev {
        doors.push("workers.dev");
    }
    if doors.is_empty() { "a route of yours".into() } else { doors.join(", ") }
}

fn write(chart: &Chart, pattern: &Pattern) -> String {
    let is_internal = |label: &str| pattern.workers.iter().any(|worker| !worker.public && worker.id == label);
    let (mut internal, mut lines) = (Vec::new(), vec!["```mermaid".to_owned(), "flowchart LR".into()]);
    for (id, shape, label) in &chart.nodes {
        let [open, close] = shape;
        let node = format!("  {id}{open}\"{}\"{close}", escape(label));
        if *shape == WORKER && is_internal(label) { internal.push(format!("  {node}")) } else { lines.push(node) }
    }
    if !internal.is_empty() {
        lines.push("  subgraph internal [\"no address: reached by bindings only\"]".into());
        lines.append(&mut internal);
        lines.push("  end".into());
    }
    lines.extend(chart.edges.iter().cloned());
    lines.push("```\n".into());
    lines.join("\n")
}
