//! What others wrote: rustfmt, clippy, TypeScript, cargo-deny.

use std::net::{TcpStream, ToSocketAddrs};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::project::{self, Project};

/// Runs them all, and tells which failed.
pub fn run(project: &Project) -> Result<Vec<&'static str>> {
    let mut failed = Vec::new();
    let mut step = |name: &'static str, command: Command| -> Result<()> {
        let started = Instant::now();
        println!("check: {name} ...");
        if !succeeds(project, command)? {
            failed.push(name);
        }
        println!("check: {name}: {} s", started.elapsed().as_secs());
        Ok(())
    };
    step("format", command("cargo fmt --check"))?;
    step("types of the TypeScript", command("tsc -p ."))?;
    if project.workers().any(|worker| project.root.join(&worker.folder).join("page/app.ts").exists()) {
        step("types of the pages", command("tsc -p tsconfig.page.json"))?;
    }
    step("clippy", command("cargo clippy --workspace --all-targets --locked --quiet -- -D warnings"))?;
    step("clippy for wasm", clippy_for_wasm(project)?)?;
    if project.root.join("deny.toml").exists() {
        step(
            "licences, bans and sources",
            command("cargo deny --log-level warn check --hide-inclusion-graph licenses bans sources"),
        )?;
        match reach("github.com:443") {
            Ok(()) => step("advisories", command("cargo deny --log-level warn check advisories"))?,
            Err(why) => println!("check: advisories: skipped, their database at github.com cannot be reached ({why})"),
        }
    }
    Ok(failed)
}

pub fn format(project: &Project) -> Result<()> {
    succeeds(project, command("cargo fmt")).map(|_| ())
}

fn command(line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn succeeds(project: &Project, mut command: Command) -> Result<bool> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.current_dir(&project.root).status();
    Ok(status.with_context(|| format!("cannot run {name}; ./scripts/check sets it up"))?.success())
}

/// Of the Workers and of the crates that they are made of, which is where code for wasm only lies.
///
/// The standard library is checked along, since not every machine has one for wasm. That takes unstable flags, which a stable
/// compiler accepts with `RUSTC_BOOTSTRAP`; build scripts look at that variable and run again whenever it changes, so this is
/// the profile that is built with it anyway (scripts/build), and shares their output.
fn clippy_for_wasm(project: &Project) -> Result<Command> {
    let mut command = command(
        "cargo clippy --release --lib --locked --quiet --target wasm32-unknown-unknown -Zbuild-std=std,panic_abort",
    );
    for package in project::packages(&project.root)?.iter().filter(|package| package.is_worker()) {
        command.args(["-p", &package.name]);
    }
    command.env("RUSTC_BOOTSTRAP", "1").args(["--", "-D", "warnings"]);
    Ok(command)
}

/// Whether somebody answers there, within seconds: some networks swallow packets, and then a look-up or a connection takes
/// minutes to fail.
fn reach(address: &'static str) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let connected = address
            .to_socket_addrs()
            .map_err(|why| why.to_string())
            .and_then(|mut all| all.next().ok_or_else(|| "no address".to_owned()))
            .and_then(|address| TcpStream::connect_timeout(&address, PATIENCE).map_err(|why| why.to_string()));
        let _ = tell.send(connected);
    });
    told.recv_timeout(PATIENCE + PATIENCE).map_err(|_| "no answer".to_owned())?.map(|_| ())
}
