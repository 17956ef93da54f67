use std::sync::Arc;
use std::time::Duration;

use access_jwt::{Failure, Identity, Refused, Token};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use edge_http::Trace;
use worker::Date;

use crate::config::Bindings;
use crate::error::Error;

/// Where Cloudflare Access puts its token.
const ASSERTION: &str = "cf-access-jwt-assertion";

/// The machine that calls, as its verified token says: the client id of an Access service token.
#[derive(Clone)]
pub struct Caller(pub String);

/// Lets a request in when its token says which machine calls; to be laid around the whole router.
#[worker::send]
pub async fn authenticate(
    State(bindings): State<Arc<Bindings>>,
    trace: Trace,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    let token = request.headers().get(ASSERTION).ok_or(Error::Anonymous)?;
    // What is not ASCII is no token, and none of what is malformed is worth a fetch of the keys.
    let token = Token::parse(token.to_str().unwrap_or_default()).map_err(Error::Refused)?;
    let caller = identify(&bindings, &token).await?;
    trace.note("caller", &*caller.0);
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Whose token it is. Access rotates its keys: one that is unknown may be a new one.
async fn identify(bindings: &Bindings, token: &Token<'_>) -> Result<Caller, Error> {
    let now = Duration::from_millis(Date::now().as_millis());
    let mut verified = verify(bindings, token, now, false).await;
    if let Err(Failure::Refused(Refused::UnknownKey)) = verified {
        verified = verify(bindings, token, now, true).await;
    }
    match verified {
        Ok(Identity::Service { client_id }) => Ok(Caller(client_id)),
        Ok(Identity::Person { .. }) => Err(Error::NotAMachine),
        Err(Failure::Refused(why)) => Err(Error::Refused(why)),
        Err(Failure::Unchecked(cause)) => Err(Error::Unchecked(cause)),
    }
}

async fn verify(
    Bindings { keys, policy, .. }: &Bindings,
    token: &Token<'_>,
    now: Duration,
    unknown: bool,
) -> Result<Identity, Failure<worker::Error>> {
    keys.get(now, unknown).await.map_err(Failure::Unchecked)?.verify(token, policy, now).await
}
