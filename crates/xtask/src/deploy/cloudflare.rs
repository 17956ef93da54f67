//! Cloudflare's API, as far as wrangler does not answer in a form that a program reads: its lists of Workers, queues and
//! buckets are text for people, and each of its commands costs a second of CPU. What needs a `wrangler.toml` is left to it.
//!
//! Node.js makes the requests, since wrangler brings it anyway: a TLS stack in Rust would be most of xtask's build.

use std::cell::RefCell;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

/// Reads requests from stdin, a line each (so that no token is among the arguments, which every user of the machine may list),
/// and writes what came of each, in a line as well.
const FETCH: &str = "
    import { createInterface } from 'node:readline';
    for await (const line of createInterface({ input: process.stdin })) {
        const { url, seconds, ...init } = JSON.parse(line);
        let answer;
        try {
            const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(seconds * 1000), ...init });
            answer = { status: response.status, named: response.headers.has('x-request-id'), body: await response.text() };
        } catch (e) {
            answer = { error: [e.message, e.cause?.message ?? e.cause?.code].filter(Boolean).join(': ') };
        }
        process.stdout.write(`${JSON.stringify(answer)}\\n`);
    }";

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Response(Response),
    Failed { error: String },
}

#[derive(Deserialize)]
pub struct Response {
    pub status: u16,
    /// It has an `x-request-id`.
    pub named: bool,
    body: String,
}

/// One process for all requests: it starts in a tenth of a second, and keeps its connection from one to the next.
struct Node {
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Node {
    fn start() -> Result<Self> {
        let mut process = Command::new("node")
            .args(["--no-warnings", "--input-type=module", "--eval", FETCH])
            .env("NODE_USE_ENV_PROXY", "1") // as wrangler does
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start node")?;
        let answers = process.stdout.take().context("node has no stdout")?;
        Ok(Self { process, answers: BufReader::new(answers) })
    }

    fn fetch(&mut self, request: &Value) -> Result<Response> {
        let mut answer = String::new();
        let requests = self.process.stdin.as_mut().context("node has no stdin")?;
        writeln!(requests, "{request}").context("node has ended")?;
        self.answers.read_line(&mut answer)?;
        match serde_json::from_str(&answer).context("node gave no answer")? {
            Answer::Response(response) => Ok(response),
            Answer::Failed { error } => bail!(error),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.wait(); // which ends its stdin, and so the process
    }
}

/// One account.
pub struct Cloudflare {
    pub account: String,
    base: String,
    token: String,
    node: RefCell<Node>,
}

impl Cloudflare {
    /// None without a token in the environment and without `wrangler login`.
    pub fn log_in(account: String, root: &Path) -> Result<Option<Self>> {
        let base = env::var("CLOUDFLARE_API_BASE_URL").unwrap_or("https://api.cloudflare.com/client/v4".to_owned());
        let token = match env::var("CLOUDFLARE_API_TOKEN") {
            Ok(token) if !token.is_empty() => token,
            _ => {
                let asked = Command::new("wrangler")
                    .args(["auth", "token", "--json"])
                    .current_dir(root)
                    .stdin(Stdio::null())
                    .output()
                    .context("cannot start wrangler")?;
                match serde_json::from_slice::<Value>(&asked.stdout) {
                    Ok(Value::Object(said)) => match said.get("token").and_then(Value::as_str) {
                        Some(token) => token.to_owned(),
                        None => return Ok(None),
                    },
                    _ => return Ok(None),
                }
            }
        };
        Ok(Some(Self { account, base, token, node: RefCell::new(Node::start()?) }))
    }

    /// What an address answers with.
    pub fn visit(&self, url: &str) -> Result<Response> {
        self.node.borrow_mut().fetch(&json!({ "url": url, "seconds": 10 }))
    }

    /// The answer to a call; None where there is no such thing. `path` is the account's own.
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        let what = || format!("{method} {path}");
        let mut request = json!({
            "url": format!("{}/accounts/{}{path}", self.base, self.account),
            "method": method,
            "seconds": 60,
            "headers": { "authorization": format!("Bearer {}", self.token), "content-type": "application/json" },
        });
        if let (Some(body), Some(request)) = (body, request.as_object_mut()) {
            request.insert("body".to_owned(), body.to_string().into());
        }
        let Response { status, body, .. } = self.node.borrow_mut().fetch(&request).with_context(what)?;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        match status {
            200..300 => Ok(Some(answer)),
            404 => Ok(None),
            _ => {
                let errors: Vec<_> =
                    answer.get("errors").and_then(Value::as_array).into_iter().flatten().map(problem).collect();
                bail!("{}: {status} {}", what(), errors.join("; "))
            }
        }
    }

    pub fn get(&self, path: &str) -> Result<Option<Value>> {
        Ok(self.call("GET", path, None)?.and_then(|mut answer| answer.get_mut("result").map(Value::take)))
    }

    /// Everything in a list that comes in pages.
    pub fn pages(&self, path: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        for page in 1.. {
            let (some, total) = self.list_and_total(&format!("{path}?page={page}&per_page=100"))?;
            let empty = some.is_empty();
            all.extend(some);
            if empty || all.len() as u64 >= total {
                break;
            }
        }
        Ok(all)
    }

    /// A list that comes whole.
    pub fn list(&self, path: &str) -> Result<Vec<Value>> {
        Ok(self.list_and_total(path)?.0)
    }

    /// Where nothing is, Cloudflare says so with an empty list. Anything else must not pass for one: what is not in a list is
    /// created, or forgotten.
    fn list_and_total(&self, path: &str) -> Result<(Vec<Value>, u64)> {
        let mut answer = self.call("GET", path, None)?.with_context(|| format!("GET {path}: 404, which is no list"))?;
        let total = answer.pointer("/result_info/total_count").and_then(Value::as_u64).unwrap_or_default();
        match answer.get_mut("result").map(Value::take) {
            Some(Value::Array(some)) => Ok((some, total)),
            _ => bail!("GET {path}: the answer has no list"),
        }
    }

    /// None where the address is unknown.
    pub fn post(&self, path: &str, body: &Value) -> Result<Option<Value>> {
        Ok(self.call("POST", path, Some(body))?.and_then(|mut answer| answer.get_mut("result").map(Value::take)))
    }

    /// What is not there counts as deleted.
    pub fn delete(&self, path: &str) -> Result<()> {
        self.call("DELETE", path, None).map(drop)
    }
}

/// A string in an answer.
pub fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn problem(error: &Value) -> String {
    let code = error.get("code").cloned().unwrap_or_default();
    format!("{} [code: {code}]", text(error, "message").unwrap_or_default())
}
