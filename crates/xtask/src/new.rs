//! Makes a project that stands alone from a pattern.
//!
//! The project keeps the layout of this repository: `patterns/NAME`, `crates`, `wrangler/local`, `tests/harness`, `scripts`. So
//! relative paths, build commands and scripts hold as they are, and a second pattern may be copied beside the first one.
//!
//! [`contents`] says which files go along, [`name`] what the new name may be and where it goes, [`rewrite`] what else differs.
//! This command itself stays behind: a project of one pattern has nothing to choose from.

mod contents;
mod name;
mod rewrite;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::check::generated;
use crate::project::Project;
use name::{Name, Renaming};

/// Make a project that stands alone from a pattern: its Workers, the crates and tools they need as source, tests, workflows.
#[derive(clap::Args)]
pub struct Arguments {
    /// The pattern: a folder in patterns/.
    slug: String,
    /// The new project's folder, outside of this checkout; it must be empty, if it exists.
    dest: PathBuf,
    /// What the pattern is called there: its folder, crates, Workers and databases. Default: the last part of DEST.
    #[arg(long)]
    name: Option<String>,
}

pub fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let pattern = project.pattern(&arguments.slug)?;
    let (dest, parent) = destination(project, &arguments.dest)?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => dest.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned(),
    };
    let own_packages = contents::own_packages(project, pattern)?;
    let name = Name::parse(&name, &contents::taken_names(project, &own_packages)?)?;
    let in_account = pattern.workers.iter().flat_map(|worker| worker.config.in_account());
    let called = in_account.map(|(_, name)| name.to_owned()).chain(own_packages).collect();
    let renaming = Renaming::new(&pattern.slug, &name, &called);

    // Beside the destination, so that it is put in place whole, by one rename; whatever fails before leaves nothing behind.
    let workshop = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&parent)
        .with_context(|| format!("cannot write in {}", parent.display()))?;
    let made = workshop.path().join(name.as_str());
    let (along, behind) = contents::files(project, pattern)?;
    for file in &along {
        copy(&project.root, file, &made, &renaming).with_context(|| file.display().to_string())?;
    }
    rewrite::manifests(&made)?;
    rewrite::workers(&made, pattern, &name)?;
    rewrite::readmes(&made, pattern, &name)?;
    // A diagram is made of names, in spellings of its own.
    generated::write(&Project::read(&made)?)?;
    let unused = contents::unused_npm_packages(&project.root, &along, &behind)?;
    if !unused.is_empty() {
        run_there(
            "npm",
            &made,
            &[NPM_UNINSTALL.as_slice(), &unused.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
        )?;
    }
    // Puts the new names into Cargo.lock, and takes out what nobody needs any more; versions stay. Offline: all that it asks for
    // was read to build this.
    run_there("cargo", &made, &["update", "--workspace", "--offline", "--quiet"])?;
    // A name of another length breaks lines elsewhere.
    run_there("cargo", &made, &["fmt"])?;
    fs::rename(&made, &dest).with_context(|| format!("cannot put it in place at {}", dest.display()))?;

    println!(
        "{name}: made from {} in {}\n\n  cd {}\n  git init && git add -A\n  ./scripts/dev {name}\n  ./scripts/test\n\nREADME.md says the rest.",
        pattern.slug,
        dest.display(),
        arguments.dest.display(),
    );
    Ok(())
}

/// From package.json and the lock file, whose other versions stay.
const NPM_UNINSTALL: [&str; 6] =
    ["uninstall", "--package-lock-only", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"];

/// The new folder and the one that it will lie in.
fn destination(project: &Project, dest: &Path) -> Result<(PathBuf, PathBuf)> {
    let dest = absolute(dest)?;
    let Some(parent) = dest.parent() else { bail!("{} is no place for a project", dest.display()) };
    let parent =
        parent.canonicalize().with_context(|| format!("there is no folder {} to put it in", parent.display()))?;
    // Cargo would take it for a part of this workspace, and git for a part of this repository.
    if parent.starts_with(&project.root) {
        bail!("{} lies in this checkout: name a folder outside of {}", dest.display(), project.root.display());
    }
    if dest.symlink_metadata().is_ok() && !fs::read_dir(&dest).is_ok_and(|mut entries| entries.next().is_none()) {
        bail!("{} exists already, and is not an empty folder", dest.display());
    }
    Ok((dest, parent))
}

/// Copies a file under its new name, with the names in it changed. Its mode goes along: scripts stay executable.
fn copy(root: &Path, file: &Path, made: &Path, renaming: &Renaming) -> Result<()> {
    let to = made.join(renaming.path(file));
    fs::create_dir_all(to.parent().unwrap_or(made))?;
    fs::copy(root.join(file), &to)?;
    if let Ok(text) = fs::read_to_string(&to) {
        fs::write(to, renaming.text(file, &text))?;
    }
    Ok(())
}

fn run_there(program: &str, folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} {} fails in the new project:\n{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
