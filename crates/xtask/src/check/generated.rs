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
        [format!("<!-- {}: written by ./scripts/check --fix -->", self.name), format!("<!-- end of {} -->", self.name)]
    }

    /// The file with this part in it; None, where the comments are missing.
    fn put_into(&self, text: &str) -> Option<String> {
        let [begin, end] = self.comments();
        let (before, rest) = text.split_once(&begin)?;
        let (_, after) = rest.split_once(&end)?;
        Some(format!("{before}{begin}\n{}{end}{after}", self.text))
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
                        "has no {}: put these two lines where it is to be, then ./scripts/check --fix\n{begin}\n{end}",
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
    let rows: Vec<_> = rows.into_iter().map(|(number, rest)| format!("| {number} | {rest} |")).collect();
    format!("| guide | pattern | standards | products |\n|---|---|---|---|\n{}\n", rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fixture::{ABOUT, API, README, STOCK, Tree};
    use super::{check, write};

    #[test]
    fn what_was_just_written_is_up_to_date() {
        Tree::good().keeps(check);
    }

    #[test]
    fn a_diagram_is_out_of_date_when_the_wiring_changes_and_written_anew() {
        let tree = Tree::good().edit(STOCK, "0 3 * * *", "0 4 * * *");
        tree.breaks(check, README, "the wiring is out of date");
        write(&tree.project()).unwrap();
        tree.keeps(check);
    }

    #[test]
    fn a_diagram_that_was_changed_by_hand_is_out_of_date() {
        Tree::good().edit(README, "flowchart LR", "flowchart TB").breaks(check, README, "the wiring is out of date");
    }

    #[test]
    fn the_catalogue_and_the_table_are_out_of_date_when_a_pattern_changes() {
        let findings = Tree::good()
            .edit("patterns/shop/pattern.toml", "title = \"A shop\"", "title = \"Two shops\"")
            .findings(check);
        assert_eq!(findings, ["README.md: the catalogue is out of date: ./scripts/check --fix"]);
        let findings = Tree::good().edit("docs/guide.toml", "named = [\"1\"]", "named = [\"2\"]").findings(check);
        assert_eq!(findings, ["docs/PRODUCTS.md: the products is out of date: ./scripts/check --fix"]);
    }

    #[test]
    fn a_readme_without_the_place_for_its_diagram_is_told_the_lines() {
        let tree = Tree::good().edit(README, "<!-- end of wiring -->", "");
        tree.breaks(check, README, "has no wiring: put these two lines");
    }

    #[test]
    fn the_catalogue_has_the_guides_order_whatever_exists() {
        let readme = fs::read_to_string(Tree::good().root().join("README.md")).unwrap();
        let rows: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()).collect();
        assert_eq!(rows, ["guide", "1", "3", "3, private variant"]);
    }

    #[test]
    fn the_diagram_shows_every_worker_binding_queue_schedule_and_door() {
        let tree = Tree::good().edit(
            API,
            "[secrets]",
            "[[ratelimits]]\nname = \
            \"LIMIT\"\n\n[[r2_buckets]]\nbinding = \"FILES\"\nbucket_name = \"shop-files\"\n\n[secrets]",
        );
        let tree = tree.add(ABOUT, "\n[[mtls]]\nname = \"tls\"\nbefore = \"api\"\n");
        let diagram = super::diagram::mermaid(tree.project().pattern("shop").unwrap());
        assert_eq!(diagram, SHOP);
    }

    #[test]
    fn clients_reach_static_assets_unless_the_worker_comes_first() {
        let diagram = |tree: Tree| super::diagram::mermaid(tree.project().pattern("shop").unwrap());
        let direct = Tree::good().edit(ABOUT, "bind = { ORIGIN = \"api\" }", "");
        assert!(diagram(direct).contains("client -->|\"files\"| static_assets_of_api"));
        let behind = Tree::good().edit(API, "binding = \"PAGE\"", "binding = \"PAGE\"\nrun_worker_first = true");
        assert!(!diagram(behind).contains("files"));
    }

    /// Read by mermaid 12.3.0 when it was written.
    const SHOP: &str = r#"```mermaid
flowchart LR
  worker_api["api"]
  client(["client"])
  door{{"door<br/>(locally a stand-in)"}}
  static_assets_of_api[("static assets of api")]
  tls{{"tls<br/>(locally a TLS server)"}}
  KV_PLANS[("KV PLANS")]
  R2_shop_files[("R2 shop-files")]
  Durable_Object_Shelf[["Durable Object Shelf"]]
  rate_limit_LIMIT{{"rate limit LIMIT"}}
  queue_shop_jobs[/"queue shop-jobs"/]
  cron_0_3(["cron 0 3 * * *"])
  D1_shop[("D1 shop")]
  queue_shop_jobs_dead[/"queue shop-jobs-dead"/]
  subgraph internal ["no address: reached by bindings only"]
    worker_stock["stock"]
  end
  client --> door
  door --> worker_api
  door -->|"files"| static_assets_of_api
  client -->|"client certificate"| tls
  tls --> worker_api
  worker_api -->|"STOCK: service binding, entrypoint Stock"| worker_stock
  worker_api -->|"PLANS"| KV_PLANS
  worker_api -->|"FILES"| R2_shop_files
  worker_api -->|"SHELVES"| Durable_Object_Shelf
  worker_api -->|"LIMIT"| rate_limit_LIMIT
  worker_api -->|"PAGE"| static_assets_of_api
  worker_api -->|"JOBS"| queue_shop_jobs
  worker_api -.->|"TEAM"| door
  cron_0_3 --> worker_stock
  worker_stock -->|"DB"| D1_shop
  worker_stock -->|"SHELVES"| Durable_Object_Shelf
  queue_shop_jobs --> worker_stock
  queue_shop_jobs -.->|"what keeps failing"| queue_shop_jobs_dead
```
"#;
}
