use std::time::Duration;

use access_jwt::{Failure, Identity, Refused, Token};
use axum::http::HeaderValue;
use contract::Proof;
use edge_http::Invocation;

use crate::config::Bindings;
use crate::domain::caller::Caller;
use crate::domain::principals::Principals;
use crate::error::Error;

/// Whose the token is that Access put into the request.
pub async fn check(
    bindings: &Bindings,
    principals: &Principals,
    token: &HeaderValue,
    invocation: &Invocation,
    now: Duration,
) -> Result<Caller, Error> {
    // What is not ASCII is no token.
    let client_id = client_id(bindings, token.to_str().unwrap_or_default(), invocation, now).await?;
    let holder = principals.service_tokens.get(&client_id).ok_or(Error::unknown())?;
    Ok(Caller::of(holder, Proof::Access))
}

async fn client_id(bindings: &Bindings, token: &str, invocation: &Invocation, now: Duration) -> Result<String, Error> {
    let Bindings { keys, access, .. } = bindings;
    // Before the keys are asked for: none of what is malformed is worth a fetch.
    let token = Token::parse(token).map_err(Error::refused)?;
    let known = keys.get(now, false, invocation).await.map_err(Error::Undecided)?;
    let mut verified = known.verify(&token, access, now).await;
    // Access rotates its keys: one that is unknown may be a new one.
    if let Err(Failure::Refused(Refused::UnknownKey)) = verified {
        let newer = keys.get(now, true, invocation).await.map_err(Error::Undecided)?;
        verified = newer.verify(&token, access, now).await;
    }
    match verified {
        Ok(Identity::Service { client_id }) => Ok(client_id),
        Ok(Identity::Person { .. }) => Err(Error::refused("a person, not a machine")),
        Err(Failure::Refused(why)) => Err(Error::refused(why)),
        Err(Failure::Unchecked(cause)) => Err(Error::Undecided(cause)),
    }
}
