use std::sync::Arc;
use std::time::Duration;

use edge_http::{Invocation, within};
use js_sys::Reflect;
use worker::{Env, Error, KvStore, Result, console_warn};

use crate::domain::principals::Principals;
use crate::domain::refresh::Limits;
use crate::fetched::Fetched;

/// The document's key in the namespace.
const KEY: &str = "principals";
/// How long KV may take; it takes milliseconds where it has the document near.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long KV's own cache at this location may answer; its least.
const CACHE_TTL_S: u64 = 30;

/// A principal that is revoked gets in for `max_age` at most after KV answers this isolate with the new document. KV itself
/// adds its cache (30 s here) and its propagation, for which Cloudflare names "60 seconds or more" and no bound.
/// <https://developers.cloudflare.com/kv/concepts/how-kv-works/#consistency>
const LIMITS: Limits = Limits {
    fresh: Duration::from_secs(10),
    max_age: Duration::from_mins(1),
    min_interval: Duration::from_secs(10),
    backoff: Duration::from_secs(1),
};

/// Who may call: the policy document, as this isolate last saw it.
pub enum Policy {
    /// The variable PRINCIPALS, which replaces the document in KV. It changes with a deployment.
    Fixed(Arc<Principals>),
    Kept {
        kv: KvStore,
        env: Env,
        fetched: Arc<Fetched<Principals>>,
    },
}

impl Policy {
    pub fn of(env: &Env) -> Result<Self> {
        let written = env.var("PRINCIPALS")?.to_string();
        if !written.is_empty() {
            return Ok(Self::Fixed(Arc::new(parse("variable PRINCIPALS", &written, env)?)));
        }
        Ok(Self::Kept { kv: env.kv("POLICY")?, env: env.clone(), fetched: Fetched::new("the policy", LIMITS) })
    }

    /// The principals for a request at `now`. Without a snapshot that is young enough and without KV there are none.
    pub async fn get(&self, now: Duration, invocation: &Invocation) -> Result<Arc<Principals>> {
        match self {
            Self::Fixed(principals) => Ok(principals.clone()),
            Self::Kept { kv, env, fetched } => {
                fetched.get(now, false, invocation, |_| load(kv.clone(), env.clone())).await
            }
        }
    }
}

async fn load(kv: KvStore, env: Env) -> Result<Arc<Principals>> {
    let document = async { kv.get(KEY).cache_ttl(CACHE_TTL_S).text().await.map_err(Error::from) };
    let document = within(TIMEOUT, document).await?;
    let document = document.ok_or_else(|| Error::RustError(format!("there is no {KEY} in POLICY")))?;
    parse("the policy document", &document, &env).map(Arc::new)
}

fn parse(what: &str, document: &str, env: &Env) -> Result<Principals> {
    // Not `Env::secret`: which secrets there are is the document's affair, and the checks want to see each name of `Env::secret`.
    let secret = |name: &str| {
        let is_public = ["TEAM_DOMAIN", "POLICY_AUD", "PRINCIPALS"].contains(&name);
        if is_public { None } else { Reflect::get(env, &name.into()).ok()?.as_string() }
    };
    let principals = Principals::parse(document, secret).map_err(|why| Error::RustError(format!("{what}: {why}")))?;
    for ignored in &principals.ignored {
        console_warn!("{what}: not understood, grants nothing: {ignored}");
    }
    Ok(principals)
}
