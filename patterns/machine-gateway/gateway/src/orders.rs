use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::request::Parts;
use axum::http::{Method, Request, header};
use contract::{IDENTITY, Identity, Message};
use edge_http::{Raw, Trace, within};
use worker::Fetcher;

use crate::error::Error;
use crate::routes::MAX_BODY;

/// How long an answer is waited for; D1 takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The internal Worker `orders`, which speaks the public API's own HTTP over its service binding.
pub struct Orders(pub Fetcher);

impl Orders {
    /// Asks it what the caller asked, in the name of `identity`, and hands its answer on unread.
    ///
    /// This is a new request: of the caller's headers only the content type goes along, so nothing that a caller writes can
    /// be taken for an identity.
    pub async fn forward(&self, identity: &Identity, trace: &Trace, request: Request<Body>) -> Result<Raw, Error> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, MAX_BODY).await.map_err(Error::BodyLost)?; // it is whole, and here: see `admission`
        let failed = |cause| match parts.method {
            Method::GET | Method::HEAD => Error::Unavailable(cause),
            _ => Error::OutcomeUnknown(cause),
        };
        let answer = within(TIMEOUT, self.fetch(identity, trace, &parts, body)).await.map_err(failed)?;
        match answer.status().as_u16() {
            501 => Err(Error::NotUnderstood),
            // It panicked or trapped, and does not know itself what became of the call.
            500 => Err(failed("orders answered 500".into())),
            _ => Ok(answer),
        }
    }

    async fn fetch(&self, identity: &Identity, trace: &Trace, parts: &Parts, body: Bytes) -> worker::Result<Raw> {
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let request = Request::builder().method(&parts.method).uri(format!("https://orders{target}"));
        let request = request.header(IDENTITY, identity.write()?);
        let request = match parts.headers.get(header::CONTENT_TYPE) {
            Some(content_type) => request.header(header::CONTENT_TYPE, content_type),
            None => request,
        };
        trace.fetch(&self.0, request, body).await
    }
}
