//! `environments/NAME.toml`: what one environment has of its own. It holds no secret and belongs into the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use toml_edit::{DocumentMut, Item, Table, value};

/// The one whose Workers and resources have the very names of the `wrangler.toml` files.
pub const PRODUCTION: &str = "production";

const HEAD: &str = "\
# What this environment has of its own. ./scripts/deploy writes the ids; account, variables and addresses are yours to write:
#
#   [workers.NAME]            # a `name` in a wrangler.toml
#   routes = [{ pattern = \"api.example.com\", custom_domain = true }]
#   vars = { KEY = \"value\" }
#
# No secrets (`npx wrangler secret put`), so: commit it.

";

pub struct Environment {
    pub name: String,
    /// From the root.
    pub path: PathBuf,
    pub file: File,
    full_path: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    account_id: Option<String>,
    /// By the Worker's name in its `wrangler.toml`.
    #[serde(default)]
    pub workers: BTreeMap<String, Own>,
    /// Title → id.
    #[serde(default)]
    pub kv_namespaces: BTreeMap<String, String>,
    /// Name → id.
    #[serde(default)]
    pub d1_databases: BTreeMap<String, String>,
}

/// What a Worker has of its own in an environment.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// Instead of the same ones in `[vars]`.
    #[serde(default)]
    pub vars: toml::Table,
    pub routes: Option<Vec<toml::Value>>,
}

impl Environment {
    pub fn read(root: &Path, name: &str) -> Result<Self> {
        // It becomes a part of Workers' names, and those of addresses.
        if name.is_empty()
            || name.len() > 20
            || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            bail!("{name:?} is no name for an environment: 1 to 20 of a-z, 0-9, -");
        }
        let path = Path::new("environments").join(format!("{name}.toml"));
        let full_path = root.join(&path);
        let file = if full_path.exists() { crate::project::read_toml(&full_path)? } else { File::default() };
        Ok(Self { name: name.to_owned(), path, file, full_path })
    }

    /// What is called so in production is called so here.
    pub fn named(&self, name: &str) -> String {
        if self.name == PRODUCTION { name.to_owned() } else { format!("{name}-{}", self.name) }
    }

    /// The account, if one is known. Ids of one account mean nothing in another, so the two places must agree.
    pub fn account(&self) -> Result<Option<String>> {
        let given = env::var("CLOUDFLARE_ACCOUNT_ID").ok().filter(|id| !id.is_empty());
        match (&self.file.account_id, given) {
            (Some(ours), Some(given)) if *ours != given => bail!(
                "{} says account {ours}, CLOUDFLARE_ACCOUNT_ID says {given}: an environment is in one account",
                self.path.display()
            ),
            (ours, given) => Ok(ours.clone().or(given)),
        }
    }

    /// Writes into a table (into the file itself, without one), or takes out, and leaves everything else in the file as it is.
    pub fn set(&self, table: Option<&str>, key: &str, to: Option<&str>) -> Result<()> {
        let text = if self.full_path.exists() { fs::read_to_string(&self.full_path)? } else { String::new() };
        let mut document: DocumentMut = text.parse().with_context(|| self.path.display().to_string())?;
        let place = match table {
            None => document.as_table_mut(),
            Some(name) => match document.entry(name).or_insert(Item::Table(Table::new())).as_table_mut() {
                Some(table) => table,
                None => bail!("{}: write [{name}] as a table", self.path.display()),
            },
        };
        match to {
            Some(to) => drop(place.insert(key, value(to))),
            None => drop(place.remove(key)),
        }
        if let Some(name) = table
            && place.is_empty()
        {
            document.remove(name);
        }
        let mut now = document.to_string();
        if now == text {
            return Ok(());
        }
        if text.is_empty() {
            now.insert_str(0, HEAD);
        }
        // In one step: an id that was lost half-way would be found again by name, but the hand-written part would not.
        let new = self.full_path.with_extension("toml.new");
        fs::create_dir_all(self.full_path.parent().unwrap_or(Path::new(".")))?;
        fs::write(&new, now)
            .and_then(|()| fs::rename(&new, &self.full_path))
            .with_context(|| self.path.display().to_string())
    }
}
