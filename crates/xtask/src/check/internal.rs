//! Rule: a Worker that is not `public` in `pattern.toml` has no route, `workers_dev = false` and `preview_urls = false`.
//!
//! It believes whoever calls it, because only a service binding, a queue or a schedule can. wrangler's defaults give a Worker
//! an address under workers.dev, and each of its versions another one: both are doors past the one that checks who calls.

use anyhow::Result;

use super::Findings;
use crate::project::Project;

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
