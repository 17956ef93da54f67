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

const SIGNS: [Sign; 8] = [
    ("Workers", true, |_| true),
    ("Service Bindings", true, |config| !config.services.is_empty()),
    ("KV", true, |config| !config.kv_namespaces.is_empty()),
    ("D1", true, |config| !config.d1_databases.is_empty()),
    ("R2", true, |config| !config.r2_buckets.is_empty()),
    ("Queues", true, |config| !config.queues.producers.is_empty() || !config.queues.consumers.is_empty()),
    ("Durable Objects", true, |config| !config.durable_objects.bindings.is_empty()),
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
        format!("| {} | {} | {state} |\n", product.name, product.named.join(" · "))
    };
    let rows: String = guide.products.iter().map(row).collect();
    format!("| product | the guide names it in | pattern |\n|---|---|---|\n{rows}")
}
