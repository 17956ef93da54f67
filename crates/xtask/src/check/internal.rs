//! Rule: a Worker that is not `public` in `pattern.toml` has no route, `workers_dev = false` and `preview_urls = false`.
//!
//! It believes whoever calls it, because only a service binding, a queue or a schedule can. wrangler's defaults give a Worker
//! an address under workers.dev, and each of its versions another one: both are doors past the one that checks who calls.

use anyhow::Result;

use super::Findings;
use crate::project::Project;

#[expect(clippy::unnecessary_wraps, reason = "a rule like the others, which read files")]
pub fn check(project: &Project, findings: &mut Findings) -> Result<()> {
    for worker in project.workers().filter(|worker| !worker.public) {
        let (file, config) = (worker.folder.join("wrangler.toml"), &worker.config);
        if config.route.is_some() || !config.routes.is_empty() {
            findings
                .add(&file, "an internal Worker has a route: take it away, or make the Worker public in pattern.toml");
        }
        if config.workers_dev {
            findings.add(&file, "an internal Worker has an address under workers.dev: workers_dev = false");
        }
        if config.preview_urls != Some(false) {
            findings.add(&file, "the versions of an internal Worker have addresses: preview_urls = false");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{ABOUT, API, STOCK, Tree};
    use super::check;

    #[test]
    fn an_internal_worker_without_an_address_keeps_it_and_a_public_one_may_have_one() {
        Tree::good().edit(API, "[vars]", "[[routes]]\npattern = \"shop.example\"\n\n[vars]").keeps(check);
    }

    #[test]
    fn an_internal_worker_has_no_route() {
        Tree::good().edit(STOCK, "[build]", "[[routes]]\npattern = \"stock.example\"\n\n[build]").breaks(
            check,
            STOCK,
            "has a route",
        );
    }

    #[test]
    fn an_internal_worker_has_no_single_route_either() {
        Tree::good().edit(STOCK, "[build]", "[route]\npattern = \"stock.example\"\n\n[build]").breaks(
            check,
            STOCK,
            "has a route",
        );
    }

    #[test]
    fn an_internal_worker_has_no_address_under_workers_dev_which_is_the_default() {
        Tree::good().edit(STOCK, "workers_dev = false\n", "").breaks(check, STOCK, "under workers.dev");
    }

    #[test]
    fn the_versions_of_an_internal_worker_have_no_addresses() {
        Tree::good().edit(STOCK, "preview_urls = false\n", "").breaks(check, STOCK, "preview_urls = false");
    }

    #[test]
    fn a_schedule_or_a_queue_does_not_make_a_worker_public() {
        let stock = Tree::good().edit(STOCK, "workers_dev = false", "workers_dev = true");
        stock.breaks(check, STOCK, "under workers.dev");
        stock.edit(ABOUT, "name = \"stock\"", "name = \"stock\"\npublic = true").keeps(check);
    }
}
