use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// What a pattern is called in its own project: a Worker's name and, with `_` for `-`, a crate's.
pub struct Name(String);

/// A Worker's name has 63 characters at most (<https://developers.cloudflare.com/workers/wrangler/configuration/>): this leaves
/// 23 for what follows the pattern's name, such as `-orders-staging`.
const LONGEST: usize = 40;

/// <https://doc.rust-lang.org/reference/keywords.html>, and the crates that are there without being asked for.
#[rustfmt::skip]
const RESERVED: [&str; 56] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut",
    "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
    "alloc", "core", "proc-macro", "std", "test",
];

impl Name {
    /// `taken`: the packages that a project with this pattern is made of, which a second one cannot be called like.
    pub fn parse(name: &str, taken: &BTreeSet<String>) -> Result<Self> {
        let letters = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !letters
            || !name.starts_with(|c: char| c.is_ascii_lowercase())
            || name.ends_with('-')
            || name.len() > LONGEST
        {
            bail!(
                "{name:?} cannot name a Worker and a crate: 1 to {LONGEST} of a-z, 0-9 and -, a letter first, no - at the end \
                 (--name says another name than the folder's)"
            );
        }
        if RESERVED.contains(&name) {
            bail!("{name} is a word that Rust keeps for itself: choose another --name");
        }
        if taken.contains(&name.replace('-', "_")) {
            bail!("{name} is the name of a crate that the project needs: choose another --name");
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As words: `order-desk` is titled "Order desk".
    pub fn title(&self) -> String {
        let words = self.0.replace('-', " ");
        words.chars().take(1).flat_map(char::to_uppercase).chain(words.chars().skip(1)).collect()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// From a pattern's name to the new one, in every way of writing it.
pub struct Renaming(Vec<(String, String)>);

impl Renaming {
    pub fn new(slug: &str, name: &Name) -> Self {
        let to = name.as_str();
        let snake = |text: &str| text.replace('-', "_");
        Self(vec![
            // The package of this repository's npm tools.
            ("edge-patterns".to_owned(), to.to_owned()),
            (slug.to_owned(), to.to_owned()),
            (snake(slug), snake(to)),
            (snake(slug).to_uppercase(), snake(to).to_uppercase()),
        ])
    }

    pub fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    pub fn path(&self, path: &Path) -> PathBuf {
        self.text(&path.to_string_lossy()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> String {
        let taken = BTreeSet::from(["edge_http".to_owned()]);
        Name::parse(name, &taken).map_or_else(|why| why.to_string(), |_| "taken".to_owned())
    }

    #[test]
    fn a_name_is_one_that_workers_and_crates_may_have() {
        for name in ["a", "my-api", "a1", &"a".repeat(LONGEST)] {
            assert_eq!(refusal(name), "taken");
        }
        for name in ["", "1a", "-a", "a-", "A", "a_b", "a.b", "a/b", "é", &"a".repeat(LONGEST + 1)] {
            assert!(refusal(name).contains("cannot name a Worker"), "{name}");
        }
        assert!(refusal("async").contains("Rust keeps"));
        assert!(refusal("edge-http").contains("is the name of a crate"));
    }

    #[test]
    fn a_name_changes_in_every_way_of_writing_it() {
        let name = Name::parse("order-desk", &BTreeSet::new()).unwrap();
        let renaming = Renaming::new("tiny-api", &name);
        assert_eq!(renaming.text("tiny-api-jobs tiny_api TINY_API"), "order-desk-jobs order_desk ORDER_DESK");
        assert_eq!(renaming.path(Path::new("patterns/tiny-api/src")), Path::new("patterns/order-desk/src"));
        assert_eq!(name.title(), "Order desk");
    }
}
