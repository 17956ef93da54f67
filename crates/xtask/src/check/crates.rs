//! Rule: patterns depend on crates, never on patterns, and crates on no pattern; every crate of a pattern is a member of the
//! workspace; `domain` and `contract` name no platform, clock or random source.
//!
//! A pattern can then be copied without the others. Decisions that are plain functions of their arguments are tested natively
//! in milliseconds, and the same test gives the same answer tomorrow.

use std::path::Path;

use anyhow::Result;

use super::Findings;
use super::source::{self, Kind, Token};
use crate::project::{Project, packages};

pub fn check(project: &Project, findings: &mut Findings) -> Result<()> {
    let packages = packages(&project.root)?;
    for package in &packages {
        let manifest = package.manifest_path.strip_prefix(&project.root).unwrap_or(&package.manifest_path);
        let of = pattern_of(manifest);
        for dependency in &package.dependencies {
            let Some(path) = dependency.path.as_ref().and_then(|path| path.strip_prefix(&project.root).ok()) else {
                continue;
            };
            match (of, pattern_of(path)) {
                (Some(of), Some(other)) if of != other => {
                    findings.add(
                        manifest,
                        format!(
                            "depends on {} of the pattern {other}: move what both need into crates/",
                            dependency.name
                        ),
                    );
                }
                (None, Some(other)) if manifest.starts_with("crates") => {
                    findings.add(
                        manifest,
                        format!("a crate depends on {} of the pattern {other}: turn it round", dependency.name),
                    );
                }
                _ => {}
            }
        }
    }
    for pattern in &project.patterns {
        for file in source::files(&project.root, &pattern.folder)? {
            if file.ends_with("Cargo.toml")
                && !packages.iter().any(|package| package.manifest_path == project.root.join(&file))
            {
                findings.add(
                    &file,
                    "not in the workspace, so that no check and no test sees it: add its folder \
                    to `members` in the root Cargo.toml",
                );
            }
        }
        for worker in &pattern.workers {
            if !project.root.join(&worker.folder).join("Cargo.toml").exists() {
                findings.add(&worker.folder, "has a wrangler.toml and no Cargo.toml");
            }
            for place in ["src/domain.rs", "src/domain"] {
                plain(project, &worker.folder.join(place), findings)?;
            }
        }
        plain(project, &pattern.folder.join("contract/src"), findings)?;
    }
    Ok(())
}

/// The slug, of a path in `patterns/<slug>`.
fn pattern_of(path: &Path) -> Option<&str> {
    path.strip_prefix("patterns").ok()?.iter().next()?.to_str()
}

/// Tells what the Rust files there name of the platform, of time and of chance.
fn plain(project: &Project, place: &Path, findings: &mut Findings) -> Result<()> {
    for rust in source::rust(&project.root, place)? {
        for (i, token) in rust.tokens.iter().enumerate() {
            let Kind::Name(name) = &token.kind else { continue };
            let mark = |at: Option<usize>| {
                matches!(at.and_then(|at| rust.tokens.get(at)), Some(Token { kind: Kind::Mark(':'), .. }))
            };
            // Two colons: one is a member's, `at: now`.
            let from_path = mark(i.checked_sub(1)) && mark(i.checked_sub(2));
            let into_path = mark(Some(i + 1)) && mark(Some(i + 2));
            let instead = match name.as_str() {
                "wasm_bindgen" | "js_sys" | "web_sys" | "wasm_bindgen_futures" => {
                    "take plain types, and convert outside"
                }
                "worker" | "edge_http" if into_path => "take plain types, and convert outside",
                "SystemTime" | "Instant" | "now_utc" | "now_local" => "take the time as an argument",
                "now" if from_path => "take the time as an argument",
                "getrandom" | "fastrand" | "OsRng" | "thread_rng" | "new_v4" | "new_v7" | "random_uuid" => {
                    "take what is random as an argument"
                }
                "rand" if into_path => "take what is random as an argument",
                "random" if from_path => "take what is random as an argument",
                _ => continue,
            };
            findings.add(format!("{}:{}", rust.file.display(), token.line), format!("names {name}: {instead}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Tree;
    use super::check;

    const DOMAIN: &str = "patterns/shop/api/src/domain.rs";
    const API: &str = "patterns/shop/api/Cargo.toml";

    #[test]
    fn patterns_that_depend_on_crates_and_decide_by_their_arguments_keep_it() {
        Tree::good().keeps(check);
    }

    #[test]
    fn a_pattern_does_not_depend_on_a_pattern() {
        Tree::good().add(API, "note = { path = \"../../note\" }\n").breaks(
            check,
            API,
            "depends on note of the pattern note",
        );
    }

    #[test]
    fn not_even_for_its_tests() {
        Tree::good().add(API, "[dev-dependencies]\nnote = { path = \"../../note\" }\n").breaks(
            check,
            API,
            "depends on note",
        );
    }

    #[test]
    fn a_crate_does_not_depend_on_a_pattern() {
        let tree =
            Tree::good().add("crates/money/Cargo.toml", "[dependencies]\nnote = { path = \"../../patterns/note\" }\n");
        tree.breaks(check, "crates/money/Cargo.toml", "a crate depends on note");
    }

    #[test]
    fn every_crate_of_a_pattern_is_a_member_of_the_workspace() {
        let tree = Tree::good().put("patterns/shop/spare/Cargo.toml", "[package]\nname = \"spare\"\n");
        tree.breaks(check, "patterns/shop/spare/Cargo.toml", "not in the workspace");
    }

    #[test]
    fn the_domain_names_no_platform_no_clock_and_no_chance() {
        for (line, name) in [
            ("use worker::Env;", "worker"),
            ("use edge_http::Trace;", "edge_http"),
            ("fn f(v: &wasm_bindgen::JsValue) {}", "wasm_bindgen"),
            ("fn f() -> f64 { js_sys::Date::new_0() }", "js_sys"),
            ("use std::time::{Duration, SystemTime};", "SystemTime"),
            ("use std::time::Instant;", "Instant"),
            ("fn f() { chrono::Utc::now(); }", "now"),
            ("fn f() { rand::rng(); }", "rand"),
            ("fn f() -> [u8; 4] { let mut b = [0; 4]; getrandom(&mut b); b }", "getrandom"),
            ("fn f() { vec![Uuid::new_v4()]; }", "new_v4"),
        ] {
            Tree::good().put(DOMAIN, &format!("//! Rules.\n{line}\n")).breaks(
                check,
                "patterns/shop/api/src/domain.rs:2",
                &format!("names {name}:"),
            );
        }
    }

    #[test]
    fn a_time_that_is_an_argument_may_be_called_now() {
        Tree::good().put(DOMAIN, "fn seen(now: u64) -> Seen { Seen { at: now } }").keeps(check);
    }

    #[test]
    fn a_domain_of_several_files_and_a_contract_are_looked_at_as_well() {
        let file = "patterns/shop/stock/src/domain/item.rs";
        Tree::good().put(file, "use worker::Env;").breaks(check, file, "names worker");
        let file = "patterns/shop/contract/src/lib.rs";
        Tree::good().put(file, "use std::time::Instant;").breaks(check, file, "names Instant");
    }
}
