use std::collections::BTreeSet;
use std::ffi::OsStr;
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

/// From a pattern's name to the new one, in one pass: a new name that contains the old one is safe.
///
/// A name of two words, such as `tiny-api`, is nobody's word. In the pattern's own folder it is renamed wherever no letter or
/// digit touches it, in every way of writing it: `tiny-api-jobs`, `tiny_api`, `TINY_API`. A name of one word is also a word of
/// code and prose (`flags`, `jobs`), and with a `-` in it, it would be none of code any more. So in that folder only what the
/// pattern's crates, Workers and resources are called is renamed like this, where it has two words (`flags-contract`,
/// `flags_contract`). The one word is renamed in the [`PLACES`] that mean the pattern, in `name = "flags"` and the like of
/// manifests, and in the README's title. All else stays: variables, routes, bindings, prose. Only a crate that another one
/// imports by the one word (`use flags::`) has to be imported by another name, as `contract = { package = "flags-contract" }`
/// is.
///
/// In files of everybody, such as crates and scripts, a name is renamed in the [`PLACES`] only; `Cargo.lock` is left to cargo.
pub struct Renaming {
    slug: String,
    name: String,
    folder: PathBuf,
    /// What is renamed wherever it stands in the folder.
    names: Vec<(String, String)>,
    /// This repository's npm package.
    repository: (String, String),
}

/// What stands before the pattern's name, and before nothing else of that name. After a quote, the name ends with a quote.
const PLACES: [&str; 26] = [
    "patterns/",
    "scripts/bench ",
    "scripts/build ",
    "scripts/deploy ",
    "scripts/dev ",
    "scripts/test ",
    "cargo test -p ",
    "d1 create ",
    "d1 delete ",
    "bucket create ",
    "bucket delete ",
    "queues create ",
    "queues delete ",
    // A setting of an environment.
    "[workers.",
    // The harness; the Worker of a pattern that has one is called like the pattern.
    "startPattern(\"",
    "readPattern(\"",
    "runTry(\"",
    "tryCommands(\"",
    "stack.fetch(\"",
    "stack.env(\"",
    "stack.rpc(\"",
    "stack.scheduled(\"",
    "stack.queue(\"",
    "stack.evict(\"",
    "stack.sql(\"",
    "urls.get(\"",
];

/// The same in a `Cargo.toml` and a `wrangler.toml`: also of `script_name`, `database_name`, `bucket_name`, `dead_letter_queue`.
const KEYS: [&str; 4] = ["name = \"", "package = \"", "service = \"", "queue = \""];

impl Renaming {
    /// `called`: what the pattern's crates, Workers and resources are called.
    pub fn new(slug: &str, name: &Name, called: &BTreeSet<String>) -> Self {
        let of_two_words = |called: &&str| called.strip_prefix(slug).is_some_and(|rest| rest.starts_with('-'));
        let names = if slug.contains('-') {
            vec![slug]
        } else {
            called.iter().map(String::as_str).filter(of_two_words).collect()
        };
        let spellings: [fn(&str) -> String; 3] =
            [str::to_owned, |name| name.replace('-', "_"), |name| name.replace('-', "_").to_uppercase()];
        let pairs = |from: &str| {
            let to = from.replacen(slug, name.as_str(), 1);
            spellings.map(|spelling| (spelling(from), spelling(&to)))
        };
        Self {
            slug: slug.to_owned(),
            name: name.to_string(),
            folder: Path::new("patterns").join(slug),
            names: names.into_iter().flat_map(pairs).collect(),
            repository: ("\"edge-patterns\"".to_owned(), format!("\"{name}\"")),
        }
    }

    /// `file`: where the text is from, from the root.
    pub fn text(&self, file: &Path, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some((before, rest)) = text.split_at_checked(at) {
            let Some(next) = rest.chars().next() else { break };
            if let Some((from, to)) = self.renamed(file, before, rest) {
                out += to;
                at += from.len();
            } else {
                out.push(next);
                at += next.len_utf8();
            }
        }
        out
    }

    /// The name that `rest` begins with, and the new one.
    fn renamed(&self, file: &Path, before: &str, rest: &str) -> Option<(&str, &str)> {
        if before.ends_with(char::is_alphanumeric) {
            return None;
        }
        let names = if file.starts_with(&self.folder) { self.names.as_slice() } else { &[] };
        let begins =
            |from: &str| rest.strip_prefix(from).is_some_and(|after| !after.starts_with(char::is_alphanumeric));
        if let Some((from, to)) = names.iter().chain([&self.repository]).find(|(from, _)| begins(from)) {
            return Some((from, to));
        }
        let after = rest.strip_prefix(&self.slug)?;
        let is_all = !after.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
        (is_all && self.is_meant(file, before, after)).then_some((&self.slug, &self.name))
    }

    /// Whether what stands between the two is the pattern, and no word.
    fn is_meant(&self, file: &Path, before: &str, after: &str) -> bool {
        let stands_after = |place: &str| before.ends_with(place) && (!place.ends_with('"') || after.starts_with('"'));
        PLACES.iter().any(|place| stands_after(place))
            || file.starts_with(&self.folder)
                && match file.file_name().and_then(OsStr::to_str) {
                    Some("Cargo.toml" | "wrangler.toml") => KEYS.iter().any(|key| stands_after(key)),
                    Some("README.md") => before == "# ",
                    _ => false,
                }
    }

    pub fn path(&self, path: &Path) -> PathBuf {
        self.text(path, &path.to_string_lossy()).into()
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

    /// How a text in a file is renamed.
    #[track_caller]
    fn becomes(slug: &str, name: &str, file: &str, from: &str, to: &str) {
        let name = Name::parse(name, &BTreeSet::new()).unwrap();
        let called = ["", "-contract", "-dead"].map(|rest| format!("{slug}{rest}")).into();
        assert_eq!(Renaming::new(slug, &name, &called).text(Path::new(file), from), to, "{slug} in {file}");
    }

    #[test]
    fn a_name_of_two_words_changes_in_its_folder_in_every_way_of_writing_it() {
        let file = "patterns/tiny-api/src/lib.rs";
        becomes(
            "tiny-api",
            "order-desk",
            file,
            "tiny-api-jobs tiny_api TINY_API",
            "order-desk-jobs order_desk ORDER_DESK",
        );
        becomes("tiny-api", "order-desk", file, "D1_tiny_api my-tiny-api", "D1_order_desk my-order-desk");
        becomes(
            "tiny-api",
            "order-desk",
            file,
            "tiny-apis destiny-api é_tiny-api",
            "tiny-apis destiny-api é_order-desk",
        );
    }

    #[test]
    fn a_name_that_contains_the_old_one_changes_once() {
        becomes("tiny-api", "my-tiny-api", "patterns/tiny-api/README.md", "# tiny-api\n", "# my-tiny-api\n");
        becomes("flags", "flags-flags", "README.md", "patterns/flags", "patterns/flags-flags");
        let wrangler = "patterns/flags/wrangler.toml";
        becomes("flags", "my-flags", wrangler, "name = \"flags\" # flags-dead", "name = \"my-flags\" # my-flags-dead");
    }

    #[test]
    fn a_name_of_one_word_changes_where_the_pattern_is_meant() {
        for (file, from, to) in [
            ("Cargo.toml", "[package]\nname = \"rag\"", "[package]\nname = \"ask-us\""),
            ("Cargo.toml", "c = { package = \"rag-contract\" }", "c = { package = \"ask-us-contract\" }"),
            ("api/src/lib.rs", "use rag_contract::Rag;", "use ask_us_contract::Rag;"),
            (
                "wrangler.toml",
                "command = \"npm run build patterns/rag\"",
                "command = \"npm run build patterns/ask-us\"",
            ),
            ("wrangler.toml", "service = \"rag\"", "service = \"ask-us\""),
            ("wrangler.toml", "database_name = \"rag\"", "database_name = \"ask-us\""),
            ("wrangler.toml", "dead_letter_queue = \"rag-dead\"", "dead_letter_queue = \"ask-us-dead\""),
            ("README.md", "# rag\n\nA rag.", "# ask-us\n\nA rag."),
            ("README.md", "`./scripts/dev rag`", "`./scripts/dev ask-us`"),
            ("README.md", "npx wrangler d1 create rag  # rag", "npx wrangler d1 create ask-us  # rag"),
            ("tests/a.test.ts", "startPattern(\"rag\")", "startPattern(\"ask-us\")"),
            ("tests/a.test.ts", "stack.fetch(\"rag\", \"/rag\")", "stack.fetch(\"ask-us\", \"/rag\")"),
        ] {
            becomes("rag", "ask-us", &format!("patterns/rag/{file}"), from, to);
        }
    }

    #[test]
    fn a_name_of_one_word_stays_where_it_is_a_word() {
        for text in
            ["let flags = bitflags(Flags::default());", "\"/flags\"", "env.kv(\"FLAGS\")", "flags-based RUSTFLAGS"]
        {
            becomes("flags", "order-desk", "patterns/flags/src/lib.rs", text, text);
        }
        becomes(
            "flags",
            "order-desk",
            "patterns/flags/wrangler.toml",
            "compatibility_flags = []",
            "compatibility_flags = []",
        );
        becomes("flags", "order-desk", "patterns/flags/pattern.toml", "name = \"flags\"", "name = \"flags\"");
        becomes("rag", "order-desk", "patterns/rag/README.md", "storage, a rag", "storage, a rag");
    }

    #[test]
    fn files_of_everybody_change_where_they_name_the_pattern() {
        for slug in ["flags", "tiny-api"] {
            becomes(slug, "desk", "Cargo.lock", &format!("name = \"{slug}\""), &format!("name = \"{slug}\""));
            becomes(slug, "desk", "crates/a/src/lib.rs", slug, slug);
            becomes(slug, "desk", "tests/a.ts", &format!("patterns/{slug}/src"), "patterns/desk/src");
            becomes(slug, "desk", "tests/a.ts", &format!("patterns/{slug}-2"), &format!("patterns/{slug}-2"));
        }
        becomes("flags", "desk", "package.json", "\"name\": \"edge-patterns\"", "\"name\": \"desk\"");
        becomes("flags", "desk", "LICENSE-MIT", "the edge-patterns authors", "the edge-patterns authors");
    }

    #[test]
    fn folders_and_files_change_as_their_names_do_in_texts() {
        let name = Name::parse("order-desk", &BTreeSet::new()).unwrap();
        let called = BTreeSet::from(["flags-contract".to_owned()]);
        let renaming = Renaming::new("flags", &name, &called);
        for (from, to) in [
            ("patterns/flags/src/flags.rs", "patterns/order-desk/src/flags.rs"),
            ("patterns/flags/flags-contract/src", "patterns/order-desk/order-desk-contract/src"),
            ("crates/flags/src/lib.rs", "crates/flags/src/lib.rs"),
        ] {
            assert_eq!(renaming.path(Path::new(from)), Path::new(to));
        }
        assert_eq!(name.title(), "Order desk");
    }
}
