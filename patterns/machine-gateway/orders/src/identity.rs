use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use contract::{IDENTITY, Identity, Message};
use edge_http::Trace;

use crate::error::Error;

/// Lets a request in when it says who calls, in a way that is understood; to be laid around the whole router.
pub async fn understand(trace: Trace, mut request: Request, next: Next) -> Result<Response, Error> {
    let header = request.headers().get(IDENTITY).and_then(|value| value.to_str().ok());
    let identity = header.and_then(Identity::read).ok_or(Error::NotUnderstood)?;
    trace.note("principal", identity.principal.as_str());
    trace.note("credential", identity.credential.as_str());
    trace.note("proof", identity.proof.as_str());
    request.extensions_mut().insert(identity);
    Ok(next.run(request).await)
}
