//! Which patterns a change concerns: what `.github/workflows/deploy.yml` deploys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::project::{Package, Pattern, Project, packages};

/// Prints the patterns whose deployment differs since a commit, on one line.
#[derive(clap::Args)]
pub struct Arguments {
    /// What the tree is compared with. One that is not there (after a forced push, or before the first deployment) means that
    /// everything changed.
    since: String,
    /// Of these patterns only; of all, without one.
    slugs: Vec<String>,
}

/// What every Worker is built by, and what all of them have of their own where a push is deployed to.
const BUILD: &[&str] = &[
    ".cargo/",
    "Cargo.lock",
    "Cargo.toml",
    "environments/production.toml",
    "package-lock.json",
    "rust-toolchain.toml",
    "scripts/build",
    "scripts/setup",
];

pub fn run(project: &Project, Arguments { since, slugs }: &Arguments) -> Result<()> {
    let asked = if slugs.is_empty() { project.slugs() } else { slugs.iter().map(String::as_str).collect() };
    let slugs = match files(&project.root, since) {
        Some(files) => {
            let packages = packages(&project.root)?;
            let patterns = asked.iter().map(|slug| project.pattern(slug)).collect::<Result<Vec<_>>>()?;
            let folders: Vec<_> =
                patterns.into_iter().map(|pattern| folders(pattern, &packages, &project.root)).collect();
            concerned(&asked, &folders, &files)
        }
        None => asked,
    };
    println!("{}", slugs.join(" "));
    Ok(())
}

/// The files that differ, from the root; none, where git does not know the commit.
fn files(root: &Path, since: &str) -> Option<Vec<String>> {
    let diff = Command::new("git")
        .current_dir(root)
        .args(["diff", "--name-only", "--no-renames", "-z", since, "--"])
        .output()
        .ok()?;
    if !diff.status.success() {
        eprint!("xtask: taking everything as changed: {}", String::from_utf8_lossy(&diff.stderr));
        return None;
    }
    Some(String::from_utf8_lossy(&diff.stdout).split_terminator('\0').map(str::to_owned).collect())
}

/// The pattern's own folder, and those of the crates of this checkout that its Workers are built with.
fn folders(pattern: &Pattern, packages: &[Package], root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::from([root.join(&pattern.folder)]);
    let mut open: Vec<PathBuf> = pattern.workers.iter().map(|worker| root.join(&worker.folder)).collect();
    while let Some(folder) = open.pop() {
        let package = packages.iter().find(|package| package.manifest_path.parent() == Some(&folder));
        let needs = package.into_iter().flat_map(|package| &package.dependencies);
        open.extend(needs.filter_map(|needs| needs.path.clone()).filter(|path| found.insert(path.clone())));
    }
    found.iter().filter_map(|folder| folder.strip_prefix(root).ok()).map(Path::to_owned).collect()
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
        let packages = packages(&project.root).unwrap();
        for pattern in &project.patterns {
            let folders = folders(pattern, &packages, &project.root);
            assert!(folders.contains(Path::new("crates/edge-http")), "{}", pattern.slug);
        }
    }
}
