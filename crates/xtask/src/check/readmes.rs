//! Rule: a pattern's README has the template's sections, in their order; links lead somewhere; nothing that exists is announced.
//!
//! Whoever knows one pattern's README finds everything in the others. Links to the web are not followed: a check that depends
//! on others' servers fails for reasons that are nobody's here.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::guide::Guide;
use super::{Findings, source};
use crate::project::Project;

/// A section's heading, and what it surely says.
const TEMPLATE: [(&str, &[&str]); 9] = [
    ("Problem", &["**When**:", "**When not**:", "**Why Cloudflare**:", "**Trade-off**:"]),
    ("Diagram", &["```mermaid", "Services involved:"]),
    ("Run", &["./scripts/dev"]),
    ("Try", &["curl"]),
    ("Read", &["lib.rs"]),
    ("Deploy", &["deploy", "ear down"]),
    ("Cost and limits", &[]),
    ("Failure modes", &[]),
    ("Threat model", &[]),
];

pub fn check(project: &Project, findings: &mut Findings) -> Result<()> {
    // A project that was copied from here writes its READMEs as it likes.
    if Guide::read(project)?.is_some() {
        for pattern in &project.patterns {
            let file = pattern.folder.join("README.md");
            if project.root.join(&file).exists() {
                template(&pattern.slug, &file, &source::read(&project.root, &file)?, findings);
            } else {
                findings.add(&pattern.folder, "has no README.md: begin with another pattern's");
            }
        }
    }
    for file in source::files(&project.root, Path::new(""))?
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
    {
        let text = source::read(&project.root, &file)?;
        links(project, &file, &text, findings)?;
        announced(project, &file, &text, findings);
    }
    Ok(())
}

/// `` `flags` (planned) `` in prose, and `"flags<br/>(planned)"` in a chart.
fn announced(project: &Project, file: &Path, text: &str, findings: &mut Findings) {
    for line in text.lines().filter(|line| line.contains("(planned)")) {
        let in_chart = line.split('"').filter(|node| node.contains("<br/>(planned)"));
        let names: Vec<_> = in_chart.flat_map(|node| node.split([',', '<'])).map(str::trim).collect();
        for slug in project.slugs() {
            if line.contains(&format!("`{slug}`")) || names.contains(&slug) {
                findings.add(file, format!("says that {slug} is planned: it exists, link to what shows it"));
            }
        }
    }
}

fn template(slug: &str, file: &Path, text: &str, findings: &mut Findings) {
    if !text.starts_with(&format!("# {slug}\n")) {
        findings.add(file, format!("begins with something else than its name: # {slug}"));
    }
    let sections: Vec<_> =
        text.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap_or((section, ""))).collect();
    let order: Vec<_> = sections
        .iter()
        .map(|(heading, _)| *heading)
        .filter(|heading| TEMPLATE.iter().any(|(name, _)| name == heading))
        .collect();
    let wanted: Vec<_> = TEMPLATE.iter().map(|(name, _)| *name).collect();
    if order != wanted {
        findings.add(file, format!("has the sections {}; the template's are {}", order.join(", "), wanted.join(", ")));
    }
    for (heading, body) in sections {
        let says = TEMPLATE.iter().find(|(name, _)| *name == heading).map_or(&[] as &[&str], |(_, says)| says);
        for what in says.iter().filter(|what| !body.contains(**what)) {
            findings.add(file, format!("## {heading} does not say {what}"));
        }
        if body.trim().is_empty() {
            findings.add(file, format!("## {heading} is empty"));
        }
    }
}

/// `[text](target)`, outside of code.
fn links(project: &Project, file: &Path, text: &str, findings: &mut Findings) -> Result<()> {
    for line in prose(text) {
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = if path.is_empty() { file.to_owned() } else { resolve(&file.with_file_name(path)) };
            if !project.root.join(&to).exists() {
                findings.add(file, format!("links to {target}: there is no {}", to.display()));
            } else if !anchor.is_empty() && to.extension().is_some_and(|extension| extension == "md") {
                let text = source::read(&project.root, &to)?;
                if !prose(&text).any(|line| line.starts_with('#') && self::anchor(line) == anchor) {
                    findings.add(file, format!("links to {target}: {} has no such heading", to.display()));
                }
            }
        }
    }
    Ok(())
}

/// The lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// What GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter_map(|c| if c == ' ' { Some('-') } else { (c.is_alphanumeric() || c == '-' || c == '_').then_some(c) })
        .collect()
}

/// Without `..` and `.`.
fn resolve(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{README, Tree};
    use super::check;

    #[test]
    fn readmes_that_follow_the_template_keep_it() {
        Tree::good().keeps(check);
    }

    #[test]
    fn a_readme_has_every_section() {
        Tree::good().edit(README, "## Threat model\n\nNone.\n", "").breaks(check, README, "has the sections Problem");
    }

    #[test]
    fn the_sections_are_in_the_templates_order() {
        let tree =
            Tree::good().edit(README, "## Run", "## X").edit(README, "## Try", "## Run").edit(README, "## X", "## Try");
        let findings = tree.findings(check);
        assert!(findings.iter().any(|found| found.contains("Diagram, Try, Run")), "{findings:#?}");
    }

    #[test]
    fn a_section_says_what_the_template_wants_of_it() {
        Tree::good().edit(README, "**When not**:", "").breaks(check, README, "## Problem does not say **When not**:");
        Tree::good().edit(README, "tear down", "wipe").breaks(check, README, "## Deploy does not say");
        Tree::good().edit(README, "Some.", "").breaks(check, README, "## Failure modes is empty");
    }

    #[test]
    fn a_readme_begins_with_its_patterns_name() {
        Tree::good().edit(README, "# shop", "# store").breaks(check, README, "begins with something else");
    }

    #[test]
    fn a_pattern_has_a_readme() {
        // and what links to it leads nowhere
        Tree::good().without(README).also_breaks(check, "patterns/shop", "has no README.md");
    }

    #[test]
    fn a_pattern_that_exists_is_not_announced() {
        let choosing = "docs/CHOOSING.md";
        Tree::good().put(choosing, "`rag`, `flags` (planned); [shop](../patterns/shop/README.md)\n").keeps(check);
        Tree::good().put(choosing, "`shop`, `flags` (planned)\n").breaks(check, choosing, "shop is planned");
        Tree::good().put(choosing, "  a --> b[\"rag, shop<br/>(planned)\"]\n").breaks(
            check,
            choosing,
            "shop is planned",
        );
    }

    #[test]
    fn a_link_leads_to_a_file() {
        Tree::good().edit(README, "../note/src/lib.rs", "../note/src/lip.rs").breaks(
            check,
            README,
            "there is no patterns/note/src/lip.rs",
        );
    }

    #[test]
    fn a_link_leads_to_a_heading() {
        Tree::good().edit(README, "#how-to-begin", "#how-to-end").breaks(
            check,
            README,
            "README.md has no such heading",
        );
    }

    #[test]
    fn what_looks_like_a_link_in_code_is_none() {
        Tree::good().add(README, "```rust\n#[a](b)\n```\n").keeps(check);
    }

    #[test]
    fn in_a_project_of_its_own_the_template_is_not_asked_for_and_links_are() {
        let tree = Tree::good().without("docs/guide.toml").put(README, "# My shop\n\n[gone](gone.md)\n");
        tree.breaks(check, README, "there is no patterns/shop/gone.md");
    }
}
