use std::time::Duration;

use axum::http::request::Parts;
use contract::Proof;
use http_signatures::{Failure, Policy, Request};

use super::Checked;
use crate::config::Bindings;
use crate::domain::caller::Caller;
use crate::domain::principals::Principals;
use crate::error::Error;

/// Five minutes are enough for a queue of retries, and bound what has to be remembered; a machine's clock is kept by NTP.
const POLICY: Policy = Policy { max_age: Duration::from_mins(5), max_skew: Duration::from_mins(1) };

pub async fn check(
    bindings: &Bindings,
    principals: &Principals,
    parts: &Parts,
    now: Duration,
) -> Result<Checked, Error> {
    let headers: Vec<_> = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let target_uri = parts.uri.to_string();
    let request = Request { method: parts.method.as_str(), target_uri: &target_uri, headers: &headers };
    let checked = http_signatures::check(request, POLICY, now).map_err(Error::refused)?;

    let holder = principals.signers.get(checked.keyid()).ok_or(Error::unknown())?;
    let caller = Caller::of(holder, Proof::HttpSignature);
    match checked.verify(&holder.valid, &bindings.web_crypto).await {
        Ok(verified) => {
            let once = caller.once(verified.nonce(), verified.remember_until());
            Ok(Checked { caller, once: Some(once), signed: Some(verified) })
        }
        Err(Failure::Refused(why)) => Err(Error::refused(why)),
        Err(Failure::Unchecked(cause)) => Err(Error::Undecided(cause)),
    }
}
