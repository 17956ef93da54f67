//! A small project that keeps every rule, for tests to change one line of.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Findings, Rule, generated};
use crate::project::Project;

pub struct Tree(TempDir);

impl Tree {
    pub fn good() -> Self {
        let tree = FILES.iter().fold(Self(tempfile::tempdir().unwrap()), |tree, (file, text)| tree.put(file, text));
        generated::write(&tree.project()).unwrap();
        tree
    }

    /// Replaces `from`, which must be there.
    pub fn edit(self, file: &str, from: &str, to: &str) -> Self {
        let text = fs::read_to_string(self.0.path().join(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        self.put(file, &text.replacen(from, to, 1))
    }

    pub fn add(self, file: &str, more: &str) -> Self {
        let text = fs::read_to_string(self.0.path().join(file)).unwrap();
        self.put(file, &format!("{text}{more}"))
    }

    pub fn put(self, file: &str, text: &str) -> Self {
        let file = self.0.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self
    }

    pub fn without(self, file: &str) -> Self {
        fs::remove_file(self.0.path().join(file)).unwrap();
        self
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn project(&self) -> Project {
        Project::read(self.0.path()).unwrap()
    }

    pub fn findings(&self, rule: Rule) -> Vec<String> {
        let mut findings = Findings::default();
        rule(&self.project(), &mut findings).unwrap();
        findings.0
    }

    /// The rule finds this one thing and nothing else: in this file, said with these words.
    #[track_caller]
    pub fn breaks(&self, rule: Rule, file: &str, words: &str) {
        let findings = self.findings(rule);
        let [one] = findings.as_slice() else { panic!("not one finding, but {findings:#?}") };
        assert!(one.starts_with(file) && one.contains(words), "{one}");
    }

    /// The rule finds this among other things.
    #[track_caller]
    pub fn also_breaks(&self, rule: Rule, file: &str, words: &str) {
        let findings = self.findings(rule);
        assert!(findings.iter().any(|one| one.starts_with(file) && one.contains(words)), "{findings:#?}");
    }

    #[track_caller]
    pub fn keeps(&self, rule: Rule) {
        assert_eq!(self.findings(rule), Vec::<String>::new());
    }
}

pub const API: &str = "patterns/shop/api/wrangler.toml";
pub const STOCK: &str = "patterns/shop/stock/wrangler.toml";
pub const ABOUT: &str = "patterns/shop/pattern.toml";
pub const README: &str = "patterns/shop/README.md";

const FILES: [(&str, &str); 28] = [
    (
        "Cargo.toml",
        r#"[workspace]
resolver = "3"
members = ["crates/money", "patterns/note", "patterns/shop/api", "patterns/shop/stock", "patterns/shop/contract"]
"#,
    ),
    ("crates/money/Cargo.toml", "[package]\nname = \"money\"\nedition = \"2024\"\n"),
    ("crates/money/src/lib.rs", ""),
    ("docs/guide.toml", GUIDE),
    (
        "docs/PRODUCTS.md",
        "# Products\n\n<!-- products: written by ./scripts/check --fix -->\n<!-- end of products -->\n",
    ),
    (
        "README.md",
        "# Shops\n\n## How to begin\n\n<!-- catalogue: written by ./scripts/check --fix -->\n<!-- end of \
            catalogue -->\n",
    ),
    (
        "wrangler/local/door/wrangler.toml",
        "name = \"local-door\"\ncompatibility_date = \"2026-11-17\"\nvars = { TEAM = \"\" }\n",
    ),
    // A pattern of one Worker.
    (
        "patterns/note/pattern.toml",
        r#"number = "3, private variant"
title = "Notes"
products = ["Workers"]
standards = ["HTTP"]
workers = [{ name = ".", public = true }]
"#,
    ),
    (
        "patterns/note/wrangler.toml",
        r#"name = "note"
main = "build/index.js"
no_bundle = true
compatibility_date = "2026-11-17"
build = { command = "npm run --silent build patterns/note" }
"#,
    ),
    ("patterns/note/Cargo.toml", "[package]\nname = \"note\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n"),
    ("patterns/note/src/lib.rs", "#[event(fetch)]\nfn fetch() {}\n"),
    ("patterns/note/README.md", NOTE_README),
    // One of two Workers, with every kind of binding.
    (
        ABOUT,
        r#"number = "3"
title = "A shop"
products = ["Workers", "Service Bindings", "KV", "D1", "Queues", "Durable Objects", "Workers Static Assets"]
standards = ["HTTP"]

[[workers]]
name = "api"
public = true
vars = { TEAM = "{url:door}" }

[[workers]]
name = "stock"

[[stand-ins]]
name = "door"
public = true
bind = { ORIGIN = "api" }
vars = { TEAM = "local" }

[[seed]]
worker = "api"
kv = "PLANS"
file = "seed.json"
"#,
    ),
    ("patterns/shop/seed.json", "[]"),
    ("patterns/shop/contract/Cargo.toml", "[package]\nname = \"shop-contract\"\nedition = \"2024\"\n"),
    ("patterns/shop/contract/src/lib.rs", ""),
    (README, SHOP_README),
    (
        API,
        r#"name = "shop-api"
main = "build/index.js"
no_bundle = true
compatibility_date = "2026-11-17"

[build]
command = "npm run --silent build patterns/shop/api"

[vars]
TEAM = ""

[secrets]
required = ["SALT"]

[[kv_namespaces]]
binding = "PLANS"
id = "0123456789abcdef0123456789abcdef"

[[services]]
binding = "STOCK"
service = "shop-stock"
entrypoint = "Stock"

[[queues.producers]]
binding = "JOBS"
queue = "shop-jobs"

[[durable_objects.bindings]]
name = "SHELVES"
class_name = "Shelf"
script_name = "shop-stock"

[assets]
directory = "build-page"
binding = "PAGE"
not_found_handling = "404-page"
"#,
    ),
    ("patterns/shop/api/page/index.html", "<h1>A shop</h1>\n"),
    ("patterns/shop/api/.dev.vars.example", "# for local runs\nSALT=local\n"),
    (
        "patterns/shop/api/Cargo.toml",
        r#"[package]
name = "shop-api"
edition = "2024"
[lib]
crate-type = ["cdylib"]
[dependencies]
money = { path = "../../../crates/money" }
shop-contract = { path = "../contract" }
"#,
    ),
    (
        "patterns/shop/api/src/lib.rs",
        r#"const JOBS: &str = "JOBS";

#[event(fetch)]
async fn fetch(env: Env) {
    // env.kv("NOT_CODE")
    (env.var("TEAM"), env.secret("SALT"), env.kv("PLANS"), env.service("STOCK"), env.queue(JOBS));
    this.env().durable_object("SHELVES");
    env.assets("PAGE");
}
"#,
    ),
    ("patterns/shop/api/src/domain.rs", DOMAIN),
    (
        STOCK,
        r#"name = "shop-stock"
main = "build/index.js"
no_bundle = true
compatibility_date = "2026-11-17"
workers_dev = false
preview_urls = false

[build]
command = "npm run --silent build patterns/shop/stock"

[[d1_databases]]
binding = "DB"
database_name = "shop"
database_id = "00000000-0000-0000-0000-000000000000"

[[queues.consumers]]
queue = "shop-jobs"
dead_letter_queue = "shop-jobs-dead"

[triggers]
crons = ["0 3 * * *"]

[[durable_objects.bindings]]
name = "SHELVES"
class_name = "Shelf"

[[migrations]]
tag = "v1"
new_sqlite_classes = ["Shelf"]
"#,
    ),
    (
        "patterns/shop/stock/Cargo.toml",
        "[package]\nname = \"shop-stock\"\nedition = \"2024\"\n[lib]\ncrate-type = [\"cdylib\"]\n",
    ),
    (
        "patterns/shop/stock/src/lib.rs",
        r#"#[event(queue)]
async fn queue(env: Env) { env.d1("DB"); }

#[event(scheduled)]
async fn scheduled(env: Env) { env.durable_object("SHELVES"); }
"#,
    ),
    (
        "patterns/shop/stock/src/entry.mjs",
        "const { handlers, rpc, object } = entry(build);\n\nexport default handlers;\nexport const Stock = \
            rpc(\"call\");\nexport const Shelf = object(\"Shelf\");\n",
    ),
    ("patterns/shop/stock/migrations/0001_items.sql", "CREATE TABLE items (id TEXT PRIMARY KEY);"),
];

/// Comments, texts, names that only look like it, and tests may say what code may not.
const DOMAIN: &str = r#"//! SystemTime and worker::Date are not for here.

pub fn is_late(worker: u64, now: u64) -> Result<bool, String> {
    if now == 0 { return Err("Instant::now".into()) }
    Ok(now > worker)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;
}
"#;

const GUIDE: &str = r#"planned = [{ number = "1", slug = "proxy", title = "A proxy", standards = ["HTTP"] }]

products = [
  { name = "Workers", named = ["building blocks"] },
  { name = "Service Bindings", named = ["3"] },
  { name = "KV", named = ["3"] },
  { name = "D1", named = ["3"] },
  { name = "Queues", named = ["3"] },
  { name = "Durable Objects", named = ["3"] },
  { name = "Workers Static Assets", named = ["as Pages"] },
  { name = "R2", named = ["3"], planned = ["note"] },
  { name = "DNS", named = ["1"], planned = ["proxy"] },
  { name = "Rate limiting", named = ["1"] },
]
"#;

macro_rules! readme {
    ($slug:literal) => {
        concat!(
            "# ",
            $slug,
            "\n\n## Problem\n\n**When**: a.\n**When not**: b.\n**Why Cloudflare**: c.\n**Trade-off**: d.\n\n",
            "## Diagram\n\n<!-- wiring: written by ./scripts/check --fix -->\n<!-- end of wiring -->\n\n",
            "## Run\n\n`./scripts/dev ",
            $slug,
            "`\n\n## Try\n\n`curl`\n\n",
            "## Read\n\n[lib.rs](../note/src/lib.rs), [how to begin](../../README.md#how-to-begin)\n\n",
            "## Deploy\n\n`wrangler deploy`; tear down with `wrangler delete`.\n\n",
            "## Cost and limits\n\nLittle.\n\n## Failure modes\n\nSome.\n\n## Threat model\n\nNone.\n"
        )
    };
}

const NOTE_README: &str = readme!("note");
const SHOP_README: &str = readme!("shop");
