use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use contract::Identity;
use edge_http::{Invocation, Trace, within};
use http_body_util::LengthLimitError;
use worker::Date;

use crate::config::Bindings;
use crate::domain::limits;
use crate::error::Error;
use crate::proof::Offered;
use crate::routes::{MAX_BODY, RouteScopes};

/// How long a body may take: it fits into a few packets.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a decision needs.
pub struct Door {
    pub bindings: Arc<Bindings>,
    pub scopes: Arc<RouteScopes>,
}

/// Decides about a request before anything else happens to it, and writes the decision into its line of the log. What passes
/// carries the caller's [`Identity`], and a body that is whole.
#[worker::send]
pub async fn admit(
    State(door): State<Arc<Door>>,
    trace: Trace,
    invocation: Invocation,
    request: Request,
    next: Next,
) -> Response {
    match door.decide(&trace, &invocation, request).await {
        Ok(request) => {
            trace.note("outcome", "allowed");
            next.run(request).await
        }
        Err(error) => {
            let (outcome, reason) = error.decision();
            trace.note("outcome", outcome);
            trace.note("reason", reason);
            error.into_response()
        }
    }
}

impl Door {
    /// The order is the promise: nothing that costs is called for a caller who offers no proof, only the policy and Access's
    /// keys are asked for before the proof has held, no body is read before that either, and a nonce is spent last, on a
    /// request that is allowed in every other respect.
    async fn decide(&self, trace: &Trace, invocation: &Invocation, request: Request) -> Result<Request, Error> {
        let Bindings { policy, limiter, nonces, .. } = &*self.bindings;
        let now = Duration::from_millis(Date::now().as_millis());
        let (mut parts, body) = request.into_parts();
        limits::check(&parts.uri, &parts.headers).map_err(Error::Head)?;

        let offered = Offered::of(&parts, invocation).ok_or(Error::Anonymous)?;
        trace.note("proof", offered.proof().as_str());
        let principals = policy.get(now, invocation).await.map_err(Error::Undecided)?;
        let writes = !matches!(parts.method, Method::GET | Method::HEAD);
        let checked = offered.check(&self.bindings, &principals, invocation, writes, now).await?;
        let (caller, once, signed) = (checked.caller, checked.once, checked.signed);
        trace.note("principal", caller.principal.id.as_str());
        trace.note("credential", caller.credential.as_str());

        let route = parts.extensions.get::<MatchedPath>();
        let scope = route.and_then(|route| self.scopes.of(&parts.method, route.as_str()));
        match scope {
            Some(scope) => {
                trace.note("scope", scope.as_str());
                if !caller.principal.scopes.contains(scope) {
                    return Err(Error::Forbidden(scope));
                }
            }
            None => trace.note("reason", "no such route"), // the router answers 404 or 405
        }
        limiter.admit(&caller.principal).await?;
        let body = read(&parts.headers, body).await?;
        if let Some(signed) = signed {
            signed.check_content(&body).map_err(Error::refused)?;
        }
        // Where there is no route, nothing happens that could happen twice.
        if let Some(once) = once.filter(|_| scope.is_some()) {
            nonces.admit(&caller.principal, &once).await?;
        }

        parts.extensions.insert(Identity::new(
            caller.principal.id.clone(),
            caller.credential,
            caller.proof,
            trace.traceparent(),
            trace.request_id().to_owned(),
        ));
        Ok(Request::from_parts(parts, Body::from(body)))
    }
}

/// The whole body, which is short. It has little time: whoever is revoked while it comes is let in still.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > MAX_BODY) {
        return Err(Error::BodyTooLong);
    }
    match within(BODY_TIMEOUT, async { Ok(to_bytes(body, MAX_BODY).await) }).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(cause)) if cause.source().is_some_and(<dyn std::error::Error>::is::<LengthLimitError>) => {
            Err(Error::BodyTooLong)
        }
        Ok(Err(cause)) => Err(Error::BodyLost(cause)),
        Err(_) => Err(Error::BodyTooSlow),
    }
}
