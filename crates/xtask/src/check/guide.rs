//! `docs/guide.toml`: what the architecture guide asks for. A project that was copied from here has none, and then nothing is
//! asked for.

use std::path::Path;

use anyhow::Result;
use serde::Deserialize;

use crate::project::{Project, read_toml};

pub const FILE: &str = "docs/guide.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guide {
    pub planned: Vec<Planned>,
    pub products: Vec<Product>,
}

/// A pattern that does not exist yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    pub number: String,
    pub slug: String,
    pub title: String,
    pub standards: Vec<String>,
}

/// A product of Cloudflare's that the guide names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    pub name: String,
    /// Where: `building blocks`, or the number of a pattern; `as …`, where it names only what this has taken the place of.
    pub named: Vec<String>,
    /// Slugs of the patterns, planned or there, that are to use it and do not yet.
    #[serde(default)]
    pub planned: Vec<String>,
}

impl Guide {
    pub fn read(project: &Project) -> Result<Option<Self>> {
        let file = project.root.join(Path::new(FILE));
        if file.exists() { read_toml(&file).map(Some) } else { Ok(None) }
    }
}

/// What a pattern's number is sorted by, so that patterns come as the guide has them: what the guide does not number first.
pub fn order(number: &str) -> (u32, &str) {
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let (digits, rest) = number.split_at(end);
    (digits.parse().unwrap_or(0), rest)
}
