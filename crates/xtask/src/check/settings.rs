//! Rule: a queue's consumer has a dead-letter queue; no secret stands in a `wrangler.toml`; there is one compatibility date.
//!
//! Without a dead-letter queue, a message that failed some times is deleted, and nobody knows. What is committed is read by
//! everybody who can read the repository, for ever. Workers, their stand-ins and the Workers of tests run in one local
//! workerd: with another date, a test would see another platform than the Worker does when it is deployed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Findings;
use super::source;
use crate::project::Project;

pub fn check(project: &Project, findings: &mut Findings) -> Result<()> {
    dead_letters(project, findings);
    for worker in project.workers() {
        for (name, value) in &worker.config.vars {
            if is_secret_by_name(name) && value.as_str() != Some("") {
                findings.add(
                    worker.folder.join("wrangler.toml"),
                    format!(
                        "{name} sounds like a secret: name it \
                    in [secrets] required, with a value for local runs in .dev.vars.example"
                    ),
                );
            }
        }
    }
    let mut dates = BTreeMap::new();
    for file in source::files(&project.root, Path::new(""))?.into_iter().filter(|file| file.ends_with("wrangler.toml"))
    {
        let text = source::read(&project.root, &file)?;
        for what in secrets(&text) {
            findings.add(
                &file,
                format!(
                    "holds {what}: take it out, replace it where it is used, and set it with `wrangler secret put`"
                ),
            );
        }
        let table: toml::Table = toml::from_str(&text).with_context(|| file.display().to_string())?;
        let date = table.get("compatibility_date").and_then(|date| date.as_str()).unwrap_or("none").to_owned();
        dates.entry(date).or_insert_with(Vec::<PathBuf>::new).push(file);
    }
    // The one that most have; of two, the later.
    let Some(wanted) = dates.iter().max_by_key(|(date, files)| (files.len(), *date)).map(|(date, _)| date.clone())
    else {
        return Ok(());
    };
    for (date, files) in dates.iter().filter(|(date, _)| **date != wanted) {
        for file in files {
            findings.add(file, format!("compatibility_date is {date}, and elsewhere {wanted}: make them the same"));
        }
    }
    Ok(())
}

/// What fails again and again is kept somewhere. The consumer of a dead-letter queue is where that ends.
fn dead_letters(project: &Project, findings: &mut Findings) {
    let consumers = || {
        project
            .workers()
            .flat_map(|worker| worker.config.queues.consumers.iter().map(move |consumer| (worker, consumer)))
    };
    let dead: BTreeSet<_> = consumers().filter_map(|(_, consumer)| consumer.dead_letter_queue.as_ref()).collect();
    for (worker, consumer) in consumers() {
        if consumer.dead_letter_queue.is_none() && !dead.contains(&consumer.queue) {
            let queue = &consumer.queue;
            findings.add(
                worker.folder.join("wrangler.toml"),
                format!("the consumer of {queue} has no dead-letter queue: dead_letter_queue = \"{queue}-dead\""),
            );
        }
    }
}

fn is_secret_by_name(name: &str) -> bool {
    const SIGNS: [&str; 9] = [
        "SECRET",
        "PASSWORD",
        "PASSPHRASE",
        "TOKEN",
        "PRIVATE_KEY",
        "API_KEY",
        "ACCESS_KEY",
        "SIGNING_KEY",
        "CREDENTIAL",
    ];
    let name = name.to_ascii_uppercase();
    // What a secret is looked up by is none: TOKEN_URL, ACCESS_KEY_ID.
    let about = ["_URL", "_ID", "_NAME", "_HEADER", "_TTL", "_SECONDS", "_AUD", "_ISSUER"];
    SIGNS.iter().any(|sign| name.contains(sign)) && !about.iter().any(|end| name.ends_with(end))
}

/// What in this text is a secret by its looks, comments included.
fn secrets(text: &str) -> Vec<String> {
    /// What tokens of well-known services start with.
    const STARTS: [&str; 20] = [
        "sk_live_",
        "sk_test_",
        "rk_live_",
        "whsec_",
        "ghp_",
        "gho_",
        "ghs_",
        "ghu_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "AKIA",
        "ASIA",
        "AIza",
        "npm_",
        "pypi-",
        "sk-",
        "hf_",
        "SG.",
    ];
    let mut found = Vec::new();
    if text.contains("PRIVATE KEY-----") {
        found.push("a private key".to_owned());
    }
    for word in text.split(|c: char| c.is_whitespace() || "\"'`,;=<>()[]{}".contains(c)).filter(|word| word.is_ascii())
    {
        // Enough to find it, too little to use it.
        let shown = word.get(..8).unwrap_or(word);
        if word.len() >= 16 && STARTS.iter().any(|start| word.starts_with(start)) {
            found.push(format!("a token ({shown}...)"));
        } else if word.starts_with("eyJ") && word.matches('.').count() == 2 {
            found.push(format!("a JSON Web Token ({shown}...)"));
        } else if word
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('@'))
            .is_some_and(|(user, _)| user.contains(':'))
        {
            found.push("an address with a password in it".to_owned());
        } else if is_random(word) {
            found.push(format!("what looks random ({shown}...)"));
        }
    }
    found
}

/// At least 24 characters of base64, of all sorts, and hardly one of them twice. Hexadecimal is left alone: Cloudflare's own
/// ids and audience tags are, and they are no secrets.
fn is_random(word: &str) -> bool {
    let of_base64 = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/_-".contains(&b));
    let sorts: [fn(&u8) -> bool; 3] = [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
    word.len() >= 24 && of_base64 && sorts.iter().all(|sort| word.bytes().any(|b| sort(&b))) && bits(word) > 4.0
}

/// Shannon's entropy of a character, in bits: 4.7 for 32 random ones of base64, 3.5 to 3.9 for words.
#[expect(clippy::cast_precision_loss, reason = "a word is not that long")]
fn bits(word: &str) -> f64 {
    let mut counts = BTreeMap::new();
    for byte in word.bytes() {
        *counts.entry(byte).or_insert(0_usize) += 1;
    }
    counts.values().map(|count| *count as f64 / word.len() as f64).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{API, STOCK, Tree};
    use super::check;

    #[test]
    fn a_project_with_a_dead_letter_queue_one_date_and_no_secret_keeps_it() {
        Tree::good().keeps(check);
    }

    #[test]
    fn a_consumer_has_a_dead_letter_queue() {
        Tree::good().edit(STOCK, "dead_letter_queue = \"shop-jobs-dead\"\n", "").breaks(
            check,
            STOCK,
            "the consumer of shop-jobs has no dead-letter queue",
        );
    }

    #[test]
    fn the_consumer_of_a_dead_letter_queue_needs_none() {
        Tree::good()
            .edit(STOCK, "[triggers]", "[[queues.consumers]]\nqueue = \"shop-jobs-dead\"\n\n[triggers]")
            .keeps(check);
    }

    #[test]
    fn every_worker_has_the_same_date() {
        let tree = Tree::good().edit(STOCK, "2026-11-17", "2026-11-18");
        tree.breaks(check, STOCK, "compatibility_date is 2026-11-18, and elsewhere 2026-11-17");
    }

    #[test]
    fn stand_ins_and_workers_of_tests_have_that_date_too() {
        let file = "patterns/shop/tests/caller/wrangler.toml";
        Tree::good().put(file, "name = \"caller\"").breaks(check, file, "compatibility_date is none");
        let file = "wrangler/local/door/wrangler.toml";
        Tree::good().edit(file, "2026-11-17", "2026-01-01").breaks(check, file, "compatibility_date is 2026-01-01");
    }

    #[test]
    fn a_variable_that_sounds_like_a_secret_has_no_value() {
        Tree::good().edit(API, "TEAM = \"\"", "WEBHOOK_SECRET = \"hunter2\"").breaks(
            check,
            API,
            "WEBHOOK_SECRET sounds like a secret",
        );
        Tree::good().edit(API, "TEAM = \"\"", "WEBHOOK_SECRET = \"\"\nTOKEN_URL = \"https://id.example\"").keeps(check);
    }

    #[test]
    fn a_value_that_looks_like_a_secret_is_found_whatever_it_is_called() {
        // Each is put together here, so that no scanner of others' takes this file for a leak.
        for (value, what) in [
            (format!("sk_live_{}", "4eC39HqLyjWDarjtT1zdp7dc"), "a token (sk_live_...)"),
            (format!("ghp_{}", "aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"), "a token (ghp_aBcD...)"),
            (format!("AKIA{}", "IOSFODNN7EXAMPLE"), "a token (AKIAIOSF...)"),
            (["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxIn0", "sig"].join("."), "a JSON Web Token"),
            ("postgres://app:hunter2@db.example/app".into(), "an address with a password in it"),
            ("kQ3vXz8Lw0pRt5Yb2NcM7aHf9JdG4sUe".into(), "what looks random (kQ3vXz8L...)"),
            (format!("-----BEGIN {} KEY-----", "PRIVATE"), "a private key"),
        ] {
            Tree::good().edit(API, "TEAM = \"\"", &format!("TEAM = \"{value}\"")).breaks(check, API, what);
            Tree::good().add(API, &format!("# formerly {value}\n")).breaks(check, API, what);
        }
    }

    #[test]
    fn cloudflares_own_ids_and_plain_words_are_no_secrets() {
        for value in [
            "737646a56ab1df6ec9bddc7e5ca84eaf3b0768850d58b8f42f2bbf0e1ad63d25", // an application's audience tag
            "https://shop.cloudflareaccess.com/cdn-cgi/access/certs",
            "local-application-audience-tag",
            "00000000-0000-0000-0000-000000000000",
        ] {
            Tree::good().edit(API, "TEAM = \"\"", &format!("TEAM = \"{value}\"")).keeps(check);
        }
    }
}
