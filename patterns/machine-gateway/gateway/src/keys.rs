use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access_jwt::{Failure, Identity, KeySet, Policy, TeamDomain, Token, Verified};
use edge_http::Invocation;
use futures_util::StreamExt;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Error, Response, Result, web_sys};

use crate::domain::proven_tokens::ProvenTokens;
use crate::domain::refresh::Limits;
use crate::fetched::Fetched;
use crate::web_crypto::WebCrypto;

#[wasm_bindgen]
extern "C" {
    /// The runtime's own: `worker`'s takes with it all that can be said to Cloudflare's cache and image service, 4 KB of wasm.
    #[wasm_bindgen(js_name = fetch)]
    fn fetch_url(url: &str, init: &web_sys::RequestInit) -> Promise;
}

/// How long the key server may take.
const FETCH_TIMEOUT_MS: u32 = 5_000;

const LIMITS: Limits = Limits {
    // Access rotates its keys every six weeks and signs with the new one at once.
    fresh: Duration::from_hours(1),
    // While the key server does not answer, old keys are as good as they were: Access lets them verify for a week.
    max_age: Duration::from_hours(24),
    // Anybody can send a token with an unknown key.
    min_interval: Duration::from_mins(1),
    backoff: Duration::from_secs(1),
};

/// The team's public keys, as this isolate last saw them.
pub struct Keys {
    url: String,
    fetched: Arc<Fetched<KnownKeys>>,
}

/// A key set, with what Web Crypto made of it and which tokens it proved: both go when another set takes its place, so that
/// a token ends with its key.
pub struct KnownKeys {
    set: KeySet,
    web_crypto: WebCrypto,
    proven: Mutex<ProvenTokens<Identity>>,
}

impl Keys {
    pub fn of(team_domain: &TeamDomain) -> Self {
        Self { url: team_domain.certs_url(), fetched: Fetched::new("the key set", LIMITS) }
    }

    /// The keys to verify with at `now`; `unknown` says that a token's key was not among them, so that newer ones are wanted.
    pub async fn get(&self, now: Duration, unknown: bool, invocation: &Invocation) -> Result<Arc<KnownKeys>> {
        self.fetched.get(now, unknown, invocation, |known| fetch(self.url.clone(), known)).await
    }
}

impl KnownKeys {
    pub async fn verify(&self, token: &Token<'_>, policy: &Policy, now: Duration) -> Result<Identity, Failure<Error>> {
        if let Some(identity) = locked(&self.proven).get(token.as_str(), now) {
            return Ok(identity);
        }
        let Verified { identity, until } =
            access_jwt::verify(token, &self.set, policy, now, async |key, input, signature| {
                self.web_crypto.verify_rs256(key, input, signature).await
            })
            .await?;
        locked(&self.proven).insert(token.as_str(), identity.clone(), until);
        Ok(identity)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The keys that are published now: `known` again, when they are the same. Else strangers' unknown keys would make
/// everybody's tokens be verified again each minute.
async fn fetch(url: String, known: Option<Arc<KnownKeys>>) -> Result<Arc<KnownKeys>> {
    let set = KeySet::parse(&download(&url).await?).map_err(|why| Error::RustError(format!("{url}: {why}")))?;
    Ok(known
        .filter(|known| known.set == set)
        .unwrap_or_else(|| Arc::new(KnownKeys { set, web_crypto: WebCrypto::default(), proven: Mutex::default() })))
}

/// What is at `url`, up to the size that a key set may have.
async fn download(url: &str) -> Result<Vec<u8>> {
    let wrong = |what: String| Error::RustError(format!("{url}: {what}"));
    let init = web_sys::RequestInit::new();
    // A redirect is refused: the keys are where the team domain says, or nowhere.
    init.set_redirect(web_sys::RequestRedirect::Manual);
    init.set_signal(Some(&web_sys::AbortSignal::timeout_with_u32(FETCH_TIMEOUT_MS)));
    let response = JsFuture::from(fetch_url(url, &init)).await?;
    let mut response = Response::from(response.unchecked_into::<web_sys::Response>());
    if response.status_code() != 200 {
        return Err(wrong(format!("status {}", response.status_code())));
    }
    let (mut body, mut bytes) = (response.stream()?, Vec::new());
    while let Some(chunk) = body.next().await {
        bytes.extend(chunk?);
        if bytes.len() > KeySet::MAX_BYTES {
            return Err(wrong("too long".into()));
        }
    }
    Ok(bytes)
}
