//! Rule: what is generated is up to date: each pattern's wiring diagram and its line of products and standards, the catalogue
//! in the README, the table of products.
//!
//! They say again what a `pattern.toml` or a `wrangler.toml` says already, and such things grow apart when people keep them.
//! The words around them stay people's: a generated part stands between two comments.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::guide::{self, Guide};
use super::{Findings, diagram, products, source};
use crate::project::{Pattern, Project};

struct Part {
    file: PathBuf,
    name: &'static str,
    text: String,
}

impl Part {
    fn comments(&self) -> [String; 2] {
        [
            format!("<!-- {}: written by ./scripts/check --fix -->\n", self.name),
            format!("<!-- end of {} -->", self.name),
        ]
    }

    /// The file with this part in it; None, where the comments are missing.
    fn put_into(&self, text: &str) -> Option<String> {
        let [begin, end] = self.comments();
        let (before, rest) = text.split_once(&begin)?;
        let (_, after) = rest.split_once(&end)?;
        Some(format!("{before}{begin}{}{end}{after}", self.text))
    }
}

fn parts(project: &Project) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let guide = Guide::read(project)?;
    for pattern in &project.patterns {
        let file = pattern.folder.join("README.md");
        // In a project of its own, a pattern's README may be gone.
        if guide.is_some() || project.root.join(&file).exists() {
            parts.push(Part { file, name: "wiring", text: wiring(pattern) });
        }
    }
    if let Some(guide) = &guide {
        parts.push(Part { file: "README.md".into(), name: "catalogue", text: catalogue(project, guide) });
        parts.push(Part { file: "docs/PRODUCTS.md".into(), name: "products", text: products::table(project, guide) });
    }
    Ok(parts)
}

pub fn check(project: &Project, findings: &mut Findings) -> Result<()> {
    for part in parts(project)? {
        let text = source::read(&project.root, &part.file)?;
        match part.put_into(&text) {
            Some(right) if right == text => {}
            Some(_) => findings.add(&part.file, format!("the {} is out of date: ./scripts/check --fix", part.name)),
            None => {
                let [begin, end] = part.comments();
                findings.add(
                    &part.file,
                    format!(
                        "has no {}: put these two lines where it belongs, then ./scripts/check --fix\n{begin}{end}",
                        part.name
                    ),
                );
            }
        }
    }
    Ok(())
}

/// Writes them all, where their comments are.
pub fn write(project: &Project) -> Result<()> {
    for part in parts(project)? {
        let text = source::read(&project.root, &part.file)?;
        if let Some(right) = part.put_into(&text).filter(|right| *right != text) {
            fs::write(project.root.join(&part.file), right).with_context(|| part.file.display().to_string())?;
            println!("check: wrote the {} of {}", part.name, part.file.display());
        }
    }
    Ok(())
}

fn wiring(pattern: &Pattern) -> String {
    let (products, standards) = (pattern.about.products.join(", "), pattern.about.standards.join(", "));
    format!("{}\nServices involved: {products}. Standards: {standards}.\n", diagram::mermaid(pattern))
}

fn catalogue(project: &Project, guide: &Guide) -> String {
    let existing = project.patterns.iter().map(|pattern| {
        let about = &pattern.about;
        let name = format!("[{0}](patterns/{0}/README.md): {1}", pattern.slug, about.title);
        (&about.number, format!("{name} | {} | {}", about.standards.join(", "), about.products.join(", ")))
    });
    let planned = guide.planned.iter().map(|planned| {
        (
            &planned.number,
            format!("`{}`: {} | {} | *planned*", planned.slug, planned.title, planned.standards.join(", ")),
        )
    });
    let mut rows: Vec<_> = existing.chain(planned).collect();
    rows.sort_by_key(|(number, _)| guide::order(number));
    let rows: String = rows.into_iter().map(|(number, rest)| format!("| {number} | {rest} |\n")).collect();
    format!("| guide | pattern | standards | products |\n|---|---|---|---|\n{rows}")
}
