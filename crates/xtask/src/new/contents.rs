//! Which files a project of one pattern is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::project::{Pattern, Project, packages, read_toml};

/// Beside the pattern, its crates and its stand-ins: files, and folders with all that is in them. Those that are not there are
/// left out.
const ALONG: [&str; 28] = [
    ".cargo",
    ".github/dependabot.yml",
    ".github/workflows/ci.yml",
    ".github/workflows/deploy.yml",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "clippy.toml",
    "crates/xtask",
    "deny.toml",
    "package-lock.json",
    "package.json",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "scripts/build",
    "scripts/check",
    "scripts/deploy",
    "scripts/dev",
    "scripts/setup",
    "scripts/test",
    "tests/deployed.test.ts",
    "tests/harness",
    "tsconfig.json",
    "tsconfig.page.json",
    "wrangler/local/faults",
    "wrangler/local/workers.d.ts",
];

/// What the crates, the harness and the commands are tested with on a runtime, which is more than a pattern: it stays here. There,
/// the pattern's own tests show whether they work, and a crate's tests in Rust. This command stays here, too.
const STAYS: [&str; 8] = [
    "crates/edge-http/probe",
    "crates/edge-http/tests",
    "crates/xtask/src/new",
    "crates/xtask/src/new.rs",
    "crates/xtask/tests",
    "tests/harness/fixture",
    "tests/harness/harness.test.ts",
    "tests/harness/mtls.test.ts",
];

/// The files that go along, and those that stay behind, from the root.
pub fn files(project: &Project, pattern: &Pattern) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut wanted: Vec<PathBuf> = ALONG.iter().map(PathBuf::from).collect();
    wanted.push(pattern.folder.clone());
    wanted.extend(pattern.about.stand_ins.iter().map(|stand_in| Path::new("wrangler/local").join(&stand_in.name)));
    wanted.extend(crates(project, pattern)?);
    let goes = |file: &PathBuf| {
        wanted.iter().any(|folder| file.starts_with(folder)) && !STAYS.iter().any(|folder| file.starts_with(folder))
    };
    Ok(sources(&project.root)?.into_iter().partition(goes))
}

/// Every file that git would not ignore. Asked with a repository that is empty: then it makes no difference whether the
/// checkout is one, and what was not committed yet goes along.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let empty = tempfile::tempdir()?;
    let git = |arguments: &[&str]| -> Result<Output> {
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(empty.path())
            .args(arguments)
            .current_dir(root)
            .output()
            .context("cannot run git, which says what is a source")?;
        if !output.status.success() {
            bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(output)
    };
    git(&["init", "--bare", "--quiet"])?;
    let listed = git(&["--work-tree", ".", "ls-files", "--others", "--exclude-standard", "-z"])?;
    Ok(String::from_utf8_lossy(&listed.stdout).split_terminator('\0').map(PathBuf::from).collect())
}

/// The folders, from the root, of the crates that the pattern needs, whatever for.
fn crates(project: &Project, pattern: &Pattern) -> Result<BTreeSet<PathBuf>> {
    let packages = packages(&project.root)?;
    let mut needed = BTreeSet::from([project.root.join(&pattern.folder)]);
    loop {
        let along = packages.iter().filter(|package| {
            let stays = STAYS.iter().any(|folder| package.manifest_path.starts_with(project.root.join(folder)));
            !stays && needed.iter().any(|folder| package.manifest_path.starts_with(folder))
        });
        let more: BTreeSet<_> =
            along.flat_map(|package| &package.dependencies).filter_map(|needs| needs.path.clone()).collect();
        if more.is_subset(&needed) {
            break;
        }
        needed.extend(more);
    }
    Ok(needed.iter().filter_map(|folder| folder.strip_prefix(&project.root).ok()).map(Path::to_owned).collect())
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
}

/// What the pattern's own crates are called.
pub fn own_packages(project: &Project, pattern: &Pattern) -> Result<BTreeSet<String>> {
    let folder = project.root.join(&pattern.folder);
    let packages = packages(&project.root)?.into_iter();
    Ok(packages.filter(|package| package.manifest_path.starts_with(&folder)).map(|package| package.name).collect())
}

/// The crates that a project with this pattern may hold, as Rust spells them, but for the pattern's own.
pub fn taken_names(project: &Project, own: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let lock: Lock = read_toml(&project.root.join("Cargo.lock"))?;
    let names = lock.package.into_iter().map(|package| package.name).filter(|name| !own.contains(name));
    Ok(names.map(|name| name.replace('-', "_")).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PackageJson {
    dev_dependencies: BTreeMap<String, String>,
}

/// What files that stay behind import, and none that goes along. (What nobody imports is a tool.)
pub fn unused_npm_packages(root: &Path, along: &[PathBuf], behind: &[PathBuf]) -> Result<Vec<String>> {
    let scripts = |files: &[PathBuf]| -> Result<String> {
        let is_script =
            |file: &&PathBuf| file.extension().is_some_and(|kind| kind == "ts" || kind == "js" || kind == "mjs");
        files.iter().filter(is_script).map(|file| Ok(fs::read_to_string(root.join(file))?)).collect()
    };
    let (along, behind) = (scripts(along)?, scripts(behind)?);
    let imports = |script: &str, name: &str| {
        ["from ", "import("]
            .iter()
            .any(|by| ['"', '/'].iter().any(|end| script.contains(&format!("{by}\"{name}{end}"))))
    };
    let package: PackageJson = serde_json::from_str(&fs::read_to_string(root.join("package.json"))?)?;
    Ok(package.dev_dependencies.into_keys().filter(|name| imports(&behind, name) && !imports(&along, name)).collect())
}
