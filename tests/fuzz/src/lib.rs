//! What reads bytes from outside, for a fuzzer: a target is a function of a file's name that panics when something is wrong.
//!
//! A new one is a file here with `run`, its line in [`TARGETS`], and a folder `corpus/NAME` with an input or more of each
//! kind. `cargo test` replays the corpora; `./scripts/fuzz NAME SECONDS` looks for more. An input that once broke something
//! goes into the corpus.

#![expect(clippy::unwrap_used, reason = "a target says with a panic what is wrong")]

mod access_token;
mod content_digest;
mod key_set;
mod pem_key;
mod signature;

/// A target.
pub type Target = fn(&[u8]);

/// All targets, by the name of their file and corpus.
pub const TARGETS: [(&str, Target); 5] = [
    ("access_token", access_token::run),
    ("content_digest", content_digest::run),
    ("key_set", key_set::run),
    ("pem_key", pem_key::run),
    ("signature", signature::run),
];
