//! Which patterns a change concerns: what `.github/workflows/deploy.yml` deploys.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::project::{Pattern, Project};

/// Prints the patterns whose deployment differs since a commit, on one line.
#[derive(clap::Args)]
pub struct Arguments {
    /// What the tree is compared with. One that is not there (a forced push, a new branch) means that everything changed.
    since: String,
    /// Of these patterns only; of all, without one.
    slugs: Vec<String>,
}

/// What every Worker is built by.
const BUILD: &[&str] = &[
    ".cargo/",
    "Cargo.lock",
    "Cargo.toml",
    "environments/",
    "package-lock.json",
    "rust-toolchain.toml",
    "scripts/build",
    "scripts/setup",
];

pub fn run(project: &Project, Arguments { since, slugs }: &Arguments) -> Result<()> {
    let asked = if slugs.is_empty() { project.slugs() } else { slugs.iter().map(String::as_str).collect() };
    let slugs = match files(&project.root, since) {
        Some(files) => {
            let dependencies = path_dependencies(&project.root)?;
            let patterns = asked.iter().map(|slug| project.pattern(slug)).collect::<Result<Vec<_>>>()?;
            let folders: Vec<_> = patterns.into_iter().map(|pattern| folders(pattern, &dependencies)).collect();
            concerned(&asked, &folders, &files)
        }
        None => asked,
    };
    println!("{}", slugs.join(" "));
    Ok(())
}

/// The files that differ, from the root; none, where git does not know the commit.
fn files(root: &Path, since: &str) -> Option<Vec<String>> {
    let diff = Command::new("git").current_dir(root).args(["diff", "--name-only", since, "--"]).output().ok()?;
    if !diff.status.success() {
        eprint!("xtask: taking everything as changed: {}", String::from_utf8_lossy(&diff.stderr));
        return None;
    }
    Some(String::from_utf8_lossy(&diff.stdout).lines().map(str::to_owned).collect())
}

/// Folder of a crate → folders of the crates of this checkout that it is built with; tests' own dependencies are none.
type PathDependencies = BTreeMap<PathBuf, Vec<PathBuf>>;

fn path_dependencies(root: &Path) -> Result<PathDependencies> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        manifest_path: PathBuf,
        dependencies: Vec<Dependency>,
    }
    #[derive(Deserialize)]
    struct Dependency {
        kind: Option<String>,
        path: Option<PathBuf>,
    }

    let cargo = Command::new("cargo")
        .current_dir(root)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .output()
        .context("cannot run cargo")?;
    if !cargo.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&cargo.stderr));
    }
    let Metadata { packages } = serde_json::from_slice(&cargo.stdout).context("what cargo metadata prints")?;
    let from_root = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_owned();
    Ok(packages
        .iter()
        .filter_map(|package| {
            let built_with = package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"));
            let paths = built_with.filter_map(|dependency| dependency.path.as_deref().map(from_root)).collect();
            Some((from_root(package.manifest_path.parent()?), paths))
        })
        .collect())
}

/// The pattern's own folder, and those of the crates that its Workers are built with.
fn folders(pattern: &Pattern, dependencies: &PathDependencies) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::from([pattern.folder.clone()]);
    let mut open: Vec<&PathBuf> = pattern.workers.iter().map(|worker| &worker.folder).collect();
    while let Some(folder) = open.pop() {
        for dependency in dependencies.get(folder).into_iter().flatten() {
            if found.insert(dependency.clone()) {
                open.push(dependency);
            }
        }
    }
    found
}

/// Those of the slugs in whose folders one of these files lies.
fn concerned<'a>(slugs: &[&'a str], folders: &[BTreeSet<PathBuf>], files: &[String]) -> Vec<&'a str> {
    let files: Vec<&str> = files.iter().map(String::as_str).filter(|file| !is_about(file)).collect();
    if files.iter().any(|file| BUILD.iter().any(|build| file.starts_with(build))) {
        return slugs.to_vec();
    }
    let lies_in = |folders: &BTreeSet<PathBuf>| {
        files.iter().any(|file| folders.iter().any(|folder| Path::new(file).starts_with(folder)))
    };
    slugs.iter().zip(folders).filter(|(_, folders)| lies_in(folders)).map(|(slug, _)| *slug).collect()
}

/// Words and tests do not change what runs.
fn is_about(file: &str) -> bool {
    let path = Path::new(file);
    path.extension().is_some_and(|extension| extension == "md")
        || path.components().any(|part| part.as_os_str() == "tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `shop` is built with `tokens`, and both patterns with `http`.
    fn changed(files: &[&str]) -> String {
        let of = |folders: &[&str]| folders.iter().map(PathBuf::from).collect();
        let folders = [of(&["patterns/note", "crates/http"]), of(&["patterns/shop", "crates/http", "crates/tokens"])];
        let files: Vec<String> = files.iter().map(ToString::to_string).collect();
        concerned(&["note", "shop"], &folders, &files).join(" ")
    }

    #[test]
    fn a_file_of_a_pattern_concerns_that_pattern() {
        assert_eq!(changed(&["patterns/note/src/store.rs"]), "note");
        assert_eq!(changed(&["patterns/shop/orders/migrations/0001_orders.sql"]), "shop");
    }

    #[test]
    fn a_crate_concerns_whoever_is_built_with_it() {
        assert_eq!(changed(&["crates/tokens/src/lib.rs"]), "shop");
        assert_eq!(changed(&["crates/http/js/entry.mjs"]), "note shop");
    }

    #[test]
    fn the_lock_file_concerns_everybody() {
        assert_eq!(changed(&["Cargo.lock"]), "note shop");
    }

    #[test]
    fn words_and_tests_concern_nobody() {
        assert_eq!(changed(&["README.md", "patterns/note/README.md", "patterns/note/tests/api.test.ts"]), "");
    }

    #[test]
    fn cargo_knows_which_crates_of_this_checkout_a_worker_is_built_with() {
        let project = Project::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))).unwrap();
        let dependencies = path_dependencies(&project.root).unwrap();
        for pattern in &project.patterns {
            assert!(folders(pattern, &dependencies).contains(Path::new("crates/edge-http")), "{}", pattern.slug);
        }
    }
}
