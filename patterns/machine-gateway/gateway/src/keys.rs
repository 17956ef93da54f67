use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access_jwt::{Failure, Identity, KeySet, Policy, TeamDomain, Token};
use futures_util::StreamExt;
use worker::{AbortSignal, Date, Error, Fetch, Request, RequestInit, RequestRedirect, Result, console_error, web_sys};

use crate::refresh::{Refresh, Step};
use crate::web_crypto::WebCrypto;

/// How long the key server may take.
const FETCH_TIMEOUT_MS: u32 = 5_000;

/// The team's public keys, as this isolate last saw them; [`crate::refresh`] says when they are fetched.
///
/// No request waits for another's fetch: in workerd that one ends with its own request.
pub struct Keys {
    url: String,
    /// Held for a moment only, never over an `await`.
    seen: Mutex<Refresh<Arc<KnownKeys>>>,
}

/// A key set, with what Web Crypto made of it.
pub struct KnownKeys {
    set: KeySet,
    web_crypto: WebCrypto,
}

impl Keys {
    pub fn of(team_domain: &TeamDomain) -> Self {
        Self { url: team_domain.certs_url(), seen: Mutex::default() }
    }

    /// The keys to verify with at `now`; `unknown` says that a token's key was not among them, so that newer ones are wanted.
    pub async fn get(&self, now: Duration, unknown: bool) -> Result<Arc<KnownKeys>> {
        let step = self.seen().step(now, unknown);
        let instead = match step {
            Step::Use(keys) => return Ok(keys),
            Step::GiveUp => return Err(Error::RustError(format!("{}: failed a moment ago", self.url))),
            Step::Fetch { instead } => instead,
        };
        match fetch(&self.url).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.seen().fetched(keys.clone(), now);
                Ok(keys)
            }
            Err(cause) => {
                self.seen().failed(Duration::from_millis(Date::now().as_millis())); // not `now`: it may have hung for long
                console_error!("the keys were not fetched: {cause}");
                instead.ok_or(cause)
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Refresh<Arc<KnownKeys>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownKeys {
    pub async fn verify(&self, token: &Token<'_>, policy: &Policy, now: Duration) -> Result<Identity, Failure<Error>> {
        access_jwt::verify(token, &self.set, policy, now, async |key, input, signature| {
            self.web_crypto.verify(key, input, signature).await
        })
        .await
    }
}

async fn fetch(url: &str) -> Result<KnownKeys> {
    let set = KeySet::parse(&download(url).await?).map_err(|why| Error::RustError(format!("{url}: {why}")))?;
    Ok(KnownKeys { set, web_crypto: WebCrypto::default() })
}

/// What is at `url`, up to the size that a key set may have.
async fn download(url: &str) -> Result<Vec<u8>> {
    let wrong = |what: String| Error::RustError(format!("{url}: {what}"));
    // A redirect is refused: the keys are where the team domain says, or nowhere.
    let init = RequestInit { redirect: RequestRedirect::Manual, ..RequestInit::default() };
    let request = Fetch::Request(Request::new_with_init(url, &init)?);
    let timeout = AbortSignal::from(web_sys::AbortSignal::timeout_with_u32(FETCH_TIMEOUT_MS));
    let mut response = request.send_with_signal(&timeout).await?;
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
