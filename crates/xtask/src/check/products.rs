//! Rule: every product that the guide names has a pattern, or is in the list of what is missing; a pattern claims the products
//! that it uses, and no others.
//!
//! The list is how far this repository is from the guide, so nothing may fall off it silently.

use anyhow::Result;

use super::Findings;
use super::guide::{self, Guide, Product};
use crate::project::{Pattern, Project};
use crate::wrangler::Config;

/// What a `wrangler.toml` shows of products, and whether it shows all of it: a rate limit may be a rule of the zone as well.
type Sign = (&'static str, bool, fn(&Config) -> bool);

const SIGNS: [Sign; 9] = [
    ("Workers", true, |_| true),
    ("Service Bindings", true, |config| !config.services.is_empty()),
    ("KV", true, |config| !config.kv_namespaces.is_empty()),
    ("D1", true, |config| !config.d1_databases.is_empty()),
    ("R2", true, |config| !config.r2_buckets.is_empty()),
    ("Queues", true, |config| !config.queues.producers.is_empty() || !config.queues.consumers.is_empty()),
    ("Durable Objects", true, |config| !config.durable_objects.bindings.is_empty()),
    ("Workers Static Assets", true, |config| config.assets.is_some()),
    ("Rate limiting", false, |config| !config.ratelimits.is_empty()),
];

pub fn check(project: &Project, findings: &mut Findings) -> Result<()> {
    for pattern in &project.patterns {
        for (product, always, sign) in SIGNS {
            let used = pattern.workers.iter().any(|worker| sign(&worker.config));
            let file = pattern.folder.join("pattern.toml");
            if used && !claims(pattern, product) {
                findings.add(file, format!("a wrangler.toml uses {product}: add it to products"));
            } else if always && !used && claims(pattern, product) {
                findings.add(file, format!("claims {product}, and no wrangler.toml uses it: take it out of products"));
            }
        }
    }
    let Some(guide) = Guide::read(project)? else { return Ok(()) };
    for pattern in &project.patterns {
        for product in pattern
            .about
            .products
            .iter()
            .filter(|claimed| !guide.products.iter().any(|product| product.name == **claimed))
        {
            findings.add(
                pattern.folder.join("pattern.toml"),
                format!("claims {product}, which {} does not list: use the guide's name for it", guide::FILE),
            );
        }
    }
    for planned in &guide.planned {
        if project.pattern(&planned.slug).is_ok() {
            findings.add(guide::FILE, format!("{} exists: take it out of [[planned]]", planned.slug));
        }
    }
    for product in &guide.products {
        for slug in &product.planned {
            match project.pattern(slug) {
                Ok(pattern) if claims(pattern, &product.name) => {
                    findings.add(guide::FILE, format!("{slug} uses {} now: take it out of planned", product.name));
                }
                Err(_) if !guide.planned.iter().any(|planned| planned.slug == *slug) => {
                    findings.add(
                        guide::FILE,
                        format!("{} is planned in {slug}, which is neither a pattern nor planned", product.name),
                    );
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn claims(pattern: &Pattern, product: &str) -> bool {
    pattern.about.products.iter().any(|claimed| claimed == product)
}

fn users<'a>(project: &'a Project, product: &Product) -> Vec<&'a str> {
    project
        .patterns
        .iter()
        .filter(|pattern| claims(pattern, &product.name))
        .map(|pattern| pattern.slug.as_str())
        .collect()
}

/// Tells which products no pattern uses yet.
pub fn print_missing(project: &Project) -> Result<()> {
    let Some(guide) = Guide::read(project)? else { return Ok(()) };
    let (mut planned, mut nowhere) = (Vec::new(), Vec::new());
    for product in guide.products.iter().filter(|product| users(project, product).is_empty()) {
        if product.planned.is_empty() {
            nowhere.push(product.name.clone());
        } else {
            planned.push(format!("{} ({})", product.name, product.planned.join(", ")));
        }
    }
    let there = guide.products.len() - planned.len() - nowhere.len();
    println!(
        "check: products: {there} of the guide's {} have a pattern; missing: {}",
        guide.products.len(),
        planned.join(", ")
    );
    println!("check: products: missing, and planned in no pattern: {}", nowhere.join(", "));
    Ok(())
}

/// The same as a table.
pub fn table(project: &Project, guide: &Guide) -> String {
    let links = |slugs: Vec<&str>| {
        slugs.iter().map(|slug| format!("[{slug}](../patterns/{slug}/README.md)")).collect::<Vec<_>>().join(", ")
    };
    let row = |product: &Product| {
        let state = match (users(project, product), product.planned.join(", ")) {
            (users, _) if !users.is_empty() => links(users),
            (_, planned) if planned.is_empty() => "**missing**, planned nowhere".into(),
            (_, planned) => format!("**missing**, planned in {planned}"),
        };
        format!("| {} | {} | {state} |", product.name, product.named.join(" · "))
    };
    let rows: Vec<_> = guide.products.iter().map(row).collect();
    format!("| product | the guide names it in | pattern |\n|---|---|---|\n{}\n", rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{ABOUT, API, Tree};
    use super::check;

    const GUIDE: &str = "docs/guide.toml";

    #[test]
    fn patterns_that_claim_what_they_use_keep_it() {
        Tree::good().keeps(check);
    }

    #[test]
    fn what_is_used_is_claimed() {
        Tree::good().edit(ABOUT, "\"D1\", ", "").breaks(check, ABOUT, "uses D1");
        let limited = Tree::good().edit(API, "[secrets]", "[[ratelimits]]\nname = \"LIMIT\"\n\n[secrets]");
        limited.breaks(check, ABOUT, "uses Rate limiting");
    }

    #[test]
    fn what_is_claimed_is_used() {
        let note = "patterns/note/pattern.toml";
        Tree::good().edit(note, "[\"Workers\"]", "[\"Workers\", \"D1\"]").breaks(
            check,
            note,
            "claims D1, and no wrangler.toml uses it",
        );
    }

    #[test]
    fn what_a_wrangler_toml_cannot_show_may_be_claimed() {
        Tree::good().edit(ABOUT, "\"D1\", ", "\"D1\", \"Rate limiting\", ").keeps(check);
    }

    #[test]
    fn a_product_has_the_guides_name() {
        Tree::good().edit(ABOUT, "\"D1\", ", "\"D1\", \"Zaraz\", ").breaks(
            check,
            ABOUT,
            "claims Zaraz, which docs/guide.toml does not list",
        );
    }

    #[test]
    fn a_planned_pattern_that_exists_leaves_the_list() {
        let tree = Tree::good().edit(
            GUIDE,
            "planned = [",
            "planned = [{ number = \"3\", slug = \"note\", title = \"\", standards = [] }, ",
        );
        tree.breaks(check, GUIDE, "note exists: take it out of [[planned]]");
    }

    #[test]
    fn a_product_that_is_used_is_not_planned_any_more() {
        Tree::good()
            .edit(
                GUIDE,
                "{ name = \"KV\", named = [\"3\"] }",
                "{ name = \"KV\", named = [\"3\"], planned = [\"shop\"] }",
            )
            .breaks(check, GUIDE, "shop uses KV now");
    }

    #[test]
    fn a_product_is_planned_in_a_pattern_that_there_will_be() {
        Tree::good().edit(GUIDE, "planned = [\"proxy\"]", "planned = [\"proxi\"]").breaks(
            check,
            GUIDE,
            "neither a pattern nor planned",
        );
    }

    #[test]
    fn a_project_of_its_own_has_no_guide_and_still_claims_what_it_uses() {
        Tree::good().without(GUIDE).keeps(check);
        Tree::good().without(GUIDE).edit(ABOUT, "\"D1\", ", "").breaks(check, ABOUT, "uses D1");
    }
}
