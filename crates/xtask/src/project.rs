//! The checkout: patterns and the Workers that they are made of, as `pattern.toml` and `wrangler.toml` say.
//!
//! `tests/harness/pattern.ts` reads the same files for local runs.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::wrangler::Config;

pub struct Project {
    pub root: PathBuf,
    /// In the order of their slugs.
    pub patterns: Vec<Pattern>,
}

pub struct Pattern {
    /// The folder's name.
    pub slug: String,
    /// From the root: `patterns/<slug>`.
    pub folder: PathBuf,
    pub about: About,
    /// As `pattern.toml` lists them; the first public one is the main one.
    pub workers: Vec<Worker>,
}

pub struct Worker {
    /// The folder's name; the slug, where the pattern is one Worker.
    pub id: String,
    /// From the root.
    pub folder: PathBuf,
    pub public: bool,
    pub config: Config,
}

/// `pattern.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct About {
    /// The guide's number, as its table of contents has it.
    pub number: String,
    pub title: String,
    /// Cloudflare's products that the pattern uses.
    pub products: Vec<String>,
    pub standards: Vec<String>,
    /// In the order of [`Pattern::workers`].
    pub workers: Vec<Part>,
    #[serde(default)]
    pub stand_ins: Vec<Part>,
    #[serde(default)]
    pub mtls: Vec<Mtls>,
    #[serde(default)]
    pub seed: Vec<Seed>,
}

/// A Worker or a stand-in, in a local run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The folder: in the pattern's own (`.` is itself), or in `wrangler/local` for a stand-in.
    pub name: String,
    #[serde(default)]
    pub public: bool,
    /// Binding → Worker (or `worker#Entrypoint`) that stands in for it.
    #[serde(default)]
    pub bind: BTreeMap<String, String>,
    #[serde(default)]
    pub vars: toml::Table,
}

/// Cloudflare's edge where it asks for client certificates; locally a TLS server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mtls {
    /// What its address is called.
    pub name: String,
    /// The public Worker behind it; `.` is the pattern's own.
    pub before: String,
}

/// Data for local runs: a file for `wrangler kv bulk put`, or with `key` the text of one value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    pub worker: String,
    pub kv: String,
    #[expect(dead_code, reason = "it is for the harness; here it is only known")]
    pub key: Option<String>,
    pub file: String,
}

impl Project {
    pub fn read(root: &Path) -> Result<Self> {
        let root = root.canonicalize().with_context(|| format!("there is no folder {}", root.display()))?;
        let patterns = folders(&root.join("patterns"))?
            .into_iter()
            .filter(|slug| root.join("patterns").join(slug).join("pattern.toml").exists())
            .map(|slug| Pattern::read(&root, slug))
            .collect::<Result<_>>()?;
        Ok(Self { root, patterns })
    }

    pub fn pattern(&self, slug: &str) -> Result<&Pattern> {
        match self.patterns.iter().find(|pattern| pattern.slug == slug) {
            Some(pattern) => Ok(pattern),
            None => bail!("no pattern {slug}; there are: {}", self.slugs().join(", ")),
        }
    }

    pub fn slugs(&self) -> Vec<&str> {
        self.patterns.iter().map(|pattern| pattern.slug.as_str()).collect()
    }

    /// Every Worker of every pattern.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.patterns.iter().flat_map(|pattern| &pattern.workers)
    }
}

impl Pattern {
    fn read(root: &Path, slug: String) -> Result<Self> {
        let folder = Path::new("patterns").join(&slug);
        let about: About = read_toml(&root.join(&folder).join("pattern.toml"))?;
        let workers =
            about.workers.iter().map(|part| Worker::read(root, &slug, &folder, part)).collect::<Result<Vec<_>>>()?;
        if !workers.iter().any(|worker| worker.public) {
            bail!("{}/pattern.toml: no Worker is public", folder.display());
        }
        Ok(Self { slug, folder, about, workers })
    }

    /// The [`Worker::id`] of the Worker that `pattern.toml` calls so.
    pub fn id<'a>(&'a self, name: &'a str) -> &'a str {
        if name == "." { &self.slug } else { name }
    }
}

impl Worker {
    fn read(root: &Path, slug: &str, pattern: &Path, part: &Part) -> Result<Self> {
        let (id, folder) = match part.name.as_str() {
            "." => (slug, pattern.to_owned()),
            name => (name, pattern.join(name)),
        };
        let config = read_toml(&root.join(&folder).join("wrangler.toml"))?;
        Ok(Self { id: id.to_owned(), folder, public: part.public, config })
    }
}

/// Part of what `cargo metadata` tells.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Deserialize)]
pub struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
pub struct Dependency {
    pub name: String,
    /// Of another member.
    pub path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

impl Package {
    /// Built to wasm.
    pub fn is_worker(&self) -> bool {
        self.targets.iter().flat_map(|target| &target.crate_types).any(|crate_type| crate_type == "cdylib")
    }
}

/// The members of the workspace.
pub fn packages(root: &Path) -> Result<Vec<Package>> {
    let out = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .output()
        .context("cannot run cargo")?;
    if !out.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    let metadata: Metadata =
        serde_json::from_slice(&out.stdout).context("cargo metadata says something else than expected")?;
    Ok(metadata.packages)
}

/// The names of the folders in this one, sorted.
pub fn folders(parent: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(parent).with_context(|| format!("cannot read {}", parent.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// All files in this folder and those below.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            all.extend(files(&entry.path())?);
        } else {
            all.push(entry.path());
        }
    }
    Ok(all)
}

pub fn read_toml<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    toml::from_str(&text).with_context(|| file.display().to_string())
}
