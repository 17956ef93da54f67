use std::time::Duration;

use edge_http::within;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Date, ObjectNamespace, Result};

use crate::domain::caller::Once;
use crate::domain::principals::Principal;
use crate::error::Error;

#[wasm_bindgen]
extern "C" {
    type NoncesStub;

    /// See `Nonces::admit`.
    #[wasm_bindgen(method, catch)]
    fn admit(this: &NoncesStub, name: &str, until: f64, now: f64) -> Result<Promise, JsValue>;
}

/// How long the object is waited for; it takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// For how long a name is remembered after its proof has expired by the clock that is here. It is forgotten by the clock of
/// whichever gateway asks next, or the object's own, which may be ahead of the one that takes a copy; and the copy is on its
/// way for as long as [`TIMEOUT`]. Cloudflare's clocks are kept by NTP: a minute is more than both together.
const CLOCKS: Duration = Duration::from_mins(1);

/// Replay protection: an object for each principal, so that a busy one slows nobody but itself.
pub struct Nonces(pub ObjectNamespace);

impl Nonces {
    /// Lets a request pass that comes for the first time, over all gateways.
    ///
    /// Called once and never again for one request: after a failure it is not known whether the name was stored, and a second
    /// call would find the first one's. Whatever fails, the request is refused.
    pub async fn admit(&self, principal: &Principal, once: &Once) -> Result<(), Error> {
        // Not the time at which the request came: its body took as long as its sender liked, and the name may be forgotten.
        let now = Duration::from_millis(Date::now().as_millis());
        if now >= once.until {
            return Err(Error::refused("the proof has expired while the body came"));
        }
        match within(TIMEOUT, self.ask(principal, &once.name, once.until.saturating_add(CLOCKS), now)).await {
            Ok(Some(true)) => Ok(()),
            Ok(Some(false)) => Err(Error::refused("replay")),
            Ok(None) => Err(Error::Undecided("the nonces object answers something else than yes or no".into())),
            Err(cause) => Err(Error::Undecided(cause)),
        }
    }

    async fn ask(&self, principal: &Principal, name: &str, until: Duration, now: Duration) -> Result<Option<bool>> {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        let stub: NoncesStub = self.0.get_by_name(principal.id.as_str())?.into_rpc();
        Ok(JsFuture::from(stub.admit(name, ms(until), ms(now))?).await?.as_bool())
    }
}
