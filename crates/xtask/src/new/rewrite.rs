//! What differs in a project of its own, apart from names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use toml_edit::{DocumentMut, Item, Table, value};

use super::name::Name;
use crate::project::{Pattern, files, folders};

/// Of the workspace, what the copied crates need. Whatever is kept stays as it is written, with its comments.
pub fn manifests(made: &Path) -> Result<()> {
    let main = made.join("crates/xtask/src/main.rs");
    fs::write(&main, without_command(&fs::read_to_string(&main)?).context("crates/xtask/src/main.rs")?)?;

    let mut inherited = BTreeSet::new();
    for manifest in files(made)?.iter().filter(|file| file.ends_with("Cargo.toml")) {
        inherited_keys(read(manifest)?.as_table(), &mut inherited);
    }
    edit(&made.join("Cargo.toml"), |root| {
        table(root.as_table_mut(), &["workspace", "dependencies"])?.retain(|name, _| inherited.contains(name));
        let members = table(root.as_table_mut(), &["workspace"])?.get_mut("members").and_then(Item::as_array_mut);
        members.context("Cargo.toml has no members")?.retain(|member| {
            let folder = member.as_str().unwrap_or_default().split('*').next().unwrap_or_default();
            made.join(folder).exists()
        });
        Ok(())
    })
}

/// This command's lines in main.rs.
const COMMAND: [&str; 3] =
    ["mod new;", "New(new::Arguments),", "Command::New(arguments) => new::run(&project, &arguments),"];

fn without_command(main: &str) -> Result<String> {
    for ours in COMMAND {
        let count = main.lines().filter(|line| line.trim() == ours).count();
        if count != 1 {
            bail!("has {count} lines `{ours}`, not one: say in new/rewrite.rs which lines the command has there");
        }
    }
    Ok(main.lines().filter(|line| !COMMAND.contains(&line.trim())).flat_map(|line| [line, "\n"]).collect())
}

/// Everything that a manifest says with `workspace = true`. (Also `edition` and the like, which name no dependency.)
fn inherited_keys(table: &Table, found: &mut BTreeSet<String>) {
    for (key, item) in table {
        if item.get("workspace").is_some() {
            found.insert(key.to_owned());
        } else if let Some(inner) = item.as_table() {
            inherited_keys(inner, found);
        }
    }
}

/// Ids of somebody's own account do not go along, and the pattern is no longer one of the guide's.
pub fn workers(made: &Path, pattern: &Pattern, name: &Name) -> Result<()> {
    let folder = made.join("patterns").join(name.as_str());
    for file in files(&folder)?.iter().filter(|file| file.ends_with("wrangler.toml")) {
        edit(file, |config| {
            blank_ids(config);
            Ok(())
        })?;
    }
    edit(&folder.join("pattern.toml"), |about| {
        about.insert("number", value("–"));
        about.insert("title", value(name.title()));
        Ok(())
    })
    .with_context(|| pattern.slug.clone())
}

/// The same placeholders that this repository has, which local runs know as "none".
fn blank_ids(config: &mut DocumentMut) {
    const NONE: [(&str, &str, &str); 2] = [
        ("kv_namespaces", "id", "00000000000000000000000000000000"),
        ("d1_databases", "database_id", "00000000-0000-0000-0000-000000000000"),
    ];
    config.remove("account_id");
    for (bindings, key, none) in NONE {
        for binding in
            config.get_mut(bindings).and_then(Item::as_array_of_tables_mut).into_iter().flat_map(|all| all.iter_mut())
        {
            if let Some(id) = binding.get_mut(key).and_then(Item::as_value_mut) {
                let decor = id.decor().clone();
                *id = none.into();
                *id.decor_mut() = decor;
            }
        }
    }
}

/// The README of a whole repository gives way to one about this project; the others lose their links to what stayed behind.
pub fn readmes(made: &Path, pattern: &Pattern, name: &Name) -> Result<()> {
    let own = fs::read_to_string(made.join("patterns").join(name.as_str()).join("README.md"))?;
    let about =
        own.split("\n\n").nth(1).with_context(|| format!("{}'s README.md does not say what it is", pattern.slug))?;
    let mut crates = Vec::new();
    for folder in folders(&made.join("crates"))?.iter().filter(|folder| *folder != "xtask") {
        let manifest = read(&made.join("crates").join(folder).join("Cargo.toml"))?;
        let what = manifest.get("package").and_then(|package| package.get("description")?.as_str());
        let what = what.with_context(|| format!("crates/{folder} has no description"))?;
        crates.push(format!("| [crates/{folder}](crates/{folder}/src/lib.rs) | {what} |"));
    }
    let readme = include_str!("readme.template")
        .replace("{name}", name.as_str())
        .replace("{about}", about)
        .replace("{crates}", &crates.join("\n"));
    fs::write(made.join("README.md"), readme)?;

    for file in files(made)?.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")) {
        edit_text(file, |text| without_links(text, |target| is_dead(file, target)))?;
    }
    Ok(())
}

/// Whether a Markdown file's link leads to a file that is not there, or to a section that its file does not have.
fn is_dead(file: &Path, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return false;
    }
    let (path, section) = target.split_once('#').unwrap_or((target, ""));
    let to = if path.is_empty() { file.to_owned() } else { file.with_file_name("").join(path) };
    let anchor = |heading: &str| -> String {
        let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let has_section = |text: String| {
        text.lines().any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == section)
    };
    !to.exists() || !section.is_empty() && !fs::read_to_string(&to).is_ok_and(has_section)
}

/// Takes dead links out: with the parentheses that one stands in, "(see [flags](../flags/README.md))"; else its words stay.
fn without_links(text: &str, is_dead: impl Fn(&str) -> bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after_label)) = rest.split_once("](") {
        let Some((target, after)) = after_label.split_once(')') else { break };
        let label_at = before.rfind('[').filter(|_| is_dead(target));
        let Some((lead, label)) = label_at.and_then(|at| Some((before.get(..at)?, before.get(at + 1..)?))) else {
            out.extend([before, "](", target, ")"]);
            rest = after;
            continue;
        };
        let opens = lead.rfind(" (").filter(|at| lead.get(*at..).is_some_and(|inside| !inside.contains([')', '\n'])));
        let closes = after.find(')').filter(|at| after.get(..*at).is_some_and(|inside| !inside.contains(['(', '\n'])));
        if let (Some(opens), Some(closes)) = (opens, closes) {
            out += lead.get(..opens).unwrap_or_default();
            rest = after.get(closes + 1..).unwrap_or_default();
        } else {
            out.extend([lead, label]);
            rest = after;
        }
    }
    out + rest
}

fn read(file: &Path) -> Result<DocumentMut> {
    fs::read_to_string(file)?.parse().with_context(|| file.display().to_string())
}

fn edit(file: &Path, change: impl FnOnce(&mut DocumentMut) -> Result<()>) -> Result<()> {
    let mut document = read(file)?;
    change(&mut document).with_context(|| file.display().to_string())?;
    fs::write(file, document.to_string()).with_context(|| file.display().to_string())
}

fn edit_text(file: &Path, change: impl FnOnce(&str) -> String) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    fs::write(file, change(&text)).with_context(|| file.display().to_string())
}

fn table<'a>(mut table: &'a mut Table, path: &[&str]) -> Result<&'a mut Table> {
    for key in path {
        match table.get_mut(key).and_then(Item::as_table_mut) {
            Some(inner) => table = inner,
            None => bail!("has no [{}]", path.join(".")),
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_leaves_main_with_its_three_lines_and_no_other() {
        let main = include_str!("../main.rs");
        let without = without_command(&format!("{main}\n// Vec::new::<T>()\n")).unwrap();
        assert_eq!(without.lines().count(), main.lines().count() + 2 - 3);
        assert!(without.contains("Vec::new::<T>()") && !without.contains("mod new;"), "{without}");
        for ours in COMMAND {
            assert!(without_command(&main.replace(ours, "")).unwrap_err().to_string().contains(ours));
        }
    }

    #[test]
    fn ids_of_an_account_become_placeholders_and_all_else_stays_as_it_is() {
        let config = "# KV\n[[kv_namespaces]]\nbinding = \"PLANS\"\nid = \"{}\" # mine\n\n[[d1_databases]]\ndatabase_id = \"{}\"\n";
        let filled = |kv: &str, d1: &str| config.replacen("{}", kv, 1).replacen("{}", d1, 1);
        let mut document = format!("account_id = \"0a\"\n{}", filled("4f", "6a1c-77")).parse().unwrap();
        blank_ids(&mut document);
        assert_eq!(document.to_string(), filled(&"0".repeat(32), "00000000-0000-0000-0000-000000000000"));
    }

    #[test]
    fn a_dead_link_goes_with_its_parentheses_or_leaves_its_words() {
        let without = |text| without_links(text, |target| target.contains("gone"));
        assert_eq!(without("they ask ([a](gone.md)), or ([b](gone.md), planned)."), "they ask, or.");
        assert_eq!(without("[here](here.md) and [there](../gone/README.md)"), "[here](here.md) and there");
        assert_eq!(without("one (two) [three](gone) four (five)"), "one (two) three four (five)");
    }
}
