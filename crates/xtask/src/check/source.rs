//! What a Worker's source says, read as tokens: comments and texts do not count, what macros hold does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A Rust file, without what is compiled for tests only.
pub struct Rust {
    /// From the root.
    pub file: PathBuf,
    pub tokens: Vec<Token>,
}

pub struct Token {
    pub line: usize,
    pub kind: Kind,
}

#[derive(PartialEq, Eq, Clone, Debug)]
pub enum Kind {
    Name(String),
    /// A string literal's content.
    Text(String),
    /// Punctuation, and brackets of all three sorts.
    Mark(char),
    /// A number, a character or another literal.
    Other,
}

/// The Rust files in `folder` (from the root), or this one file; none, when there is no such thing.
pub fn rust(root: &Path, folder: &Path) -> Result<Vec<Rust>> {
    let mut all = Vec::new();
    for file in
        files(root, folder)?.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
    {
        let tokens = TokenStream::from_str(&read(root, &file)?).map_err(|why| anyhow!("{}: {why}", file.display()))?;
        let mut flat = Vec::new();
        flatten(tokens, &mut flat);
        all.push(Rust { file, tokens: flat });
    }
    Ok(all)
}

/// All files in `folder` (from the root), sorted, except in what is built, downloaded or hidden.
pub fn files(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let path = root.join(folder);
    if path.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let made = matches!(name.as_str(), "node_modules" | "target" | "build") || name.starts_with("build-");
        if entry.file_type()?.is_dir() {
            if !made && !name.starts_with('.') {
                all.extend(files(root, &folder.join(&name))?);
            }
        } else {
            all.push(folder.join(&name));
        }
    }
    all.sort();
    Ok(all)
}

pub fn read(root: &Path, file: &Path) -> Result<String> {
    fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {}", file.display()))
}

fn flatten(tokens: TokenStream, into: &mut Vec<Token>) {
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        let line = token.span().start().line;
        let mut push = |kind| into.push(Token { line, kind });
        match token {
            TokenTree::Ident(name) => push(Kind::Name(name.to_string())),
            TokenTree::Punct(mark) => push(Kind::Mark(mark.as_char())),
            TokenTree::Literal(literal) => {
                let literal = literal.to_string();
                let text = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                push(text.map_or(Kind::Other, |text| Kind::Text(text.to_owned())));
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket && is_cfg_test(&group.stream()) => {
                into.pop(); // the `#`
                // The item that it is about ends with its body or with a semicolon.
                for rest in tokens.by_ref() {
                    match rest {
                        TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => break,
                        TokenTree::Punct(mark) if mark.as_char() == ';' => break,
                        _ => {}
                    }
                }
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ('(', ')'),
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::None => (' ', ' '),
                };
                push(Kind::Mark(open));
                flatten(group.stream(), into);
                into.push(Token { line: group.span_close().start().line, kind: Kind::Mark(close) });
            }
        }
    }
}

fn is_cfg_test(attribute: &TokenStream) -> bool {
    attribute.to_string().replace(' ', "") == "cfg(test)"
}

/// A name that the source asks `Env` for.
pub struct Asked {
    pub file: PathBuf,
    pub line: usize,
    /// `kv`, `d1`, `var`, ...
    pub method: String,
    /// None, where it is neither a literal nor a constant of this Worker.
    pub name: Option<String>,
}

/// Every `env.method("NAME")`, also with a constant for the name.
pub fn asked(source: &[Rust]) -> Vec<Asked> {
    let constants = constants(source);
    let mut all = Vec::new();
    for rust in source {
        let mut rest = rust.tokens.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            if first.kind != Kind::Name("env".into()) {
                continue;
            }
            let mut after = after.iter().map(|token| &token.kind).peekable();
            // `this.env().kv(..)` as well
            if after.peek() == Some(&&Kind::Mark('(')) {
                after.next();
                if after.next() != Some(&Kind::Mark(')')) {
                    continue;
                }
            }
            let (Some(Kind::Mark('.')), Some(Kind::Name(method))) = (after.next(), after.next()) else { continue };
            // what the type of the answer is, `::<T>`, does not matter here
            let argument: Vec<_> = after
                .skip_while(|kind| !matches!(kind, Kind::Mark('(' | ';' | '.' | ')')))
                .skip(1)
                .take_while(|kind| !matches!(kind, Kind::Mark(',' | ')')))
                .collect();
            let name = match argument.last() {
                Some(Kind::Text(name)) => Some(name.clone()),
                Some(Kind::Name(constant)) => constants.get(constant).cloned(),
                _ => continue, // `env.clone()`
            };
            all.push(Asked { file: rust.file.clone(), line: first.line, method: method.clone(), name });
        }
    }
    all
}

/// `const NAME: &str = "..."`.
fn constants(source: &[Rust]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for tokens in source.iter().flat_map(|rust| rust.tokens.windows(7)) {
        let kinds: Vec<_> = tokens.iter().map(|token| &token.kind).collect();
        if let [
            Kind::Name(keyword),
            Kind::Name(name),
            Kind::Mark(':'),
            Kind::Mark('&'),
            Kind::Name(_),
            Kind::Mark('='),
            Kind::Text(text),
        ] = kinds.as_slice()
            && keyword == "const"
        {
            all.insert(name.clone(), text.clone());
        }
    }
    all
}

/// Whether the text occurs as a string literal.
pub fn says(source: &[Rust], text: &str) -> bool {
    source
        .iter()
        .flat_map(|rust| &rust.tokens)
        .any(|token| matches!(&token.kind, Kind::Text(literal) if literal == text))
}

/// What enters the Worker: `fetch`, `queue`, `scheduled` of `#[event(...)]`.
pub fn events(source: &[Rust]) -> Vec<String> {
    let mut all = Vec::new();
    for tokens in source.iter().flat_map(|rust| rust.tokens.windows(5)) {
        let kinds: Vec<_> = tokens.iter().map(|token| &token.kind).collect();
        if let [Kind::Mark('#'), Kind::Mark('['), Kind::Name(attribute), Kind::Mark('('), Kind::Name(event)] =
            kinds.as_slice()
            && attribute == "event"
        {
            all.push(event.clone());
        }
    }
    all
}

#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum Export {
    Entrypoint,
    Object,
    Unknown,
}

/// What `entry.mjs` exports beside its default: a line each.
pub fn exports(entry: &str) -> BTreeMap<String, Export> {
    let mut all = BTreeMap::new();
    for line in entry.lines() {
        let Some(rest) = line.strip_prefix("export ") else { continue };
        let mut words =
            rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).filter(|word| !word.is_empty());
        if let (Some("const" | "class" | "let"), Some(name)) = (words.next(), words.next()) {
            let kind = match words.next() {
                Some("rpc") => Export::Entrypoint,
                Some("object") => Export::Object,
                _ => Export::Unknown,
            };
            all.insert(name.to_owned(), kind);
        }
    }
    all
}
