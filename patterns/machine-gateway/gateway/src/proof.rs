//! The four proofs: what a request offers, and whether it holds. The platform's part of each is here, what is decided is
//! [`crate::domain`]'s and the protocol crates'.

mod access;
mod bearer;
mod certificate;
mod signature;

use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use contract::Proof;
use edge_http::Invocation;
use http_signatures::Verified;

use crate::config::Bindings;
use crate::domain::caller::{Caller, Once};
use crate::domain::certificate::ClientCertificate;
use crate::domain::own_jwt;
use crate::domain::principals::Principals;
use crate::error::Error;

/// Where Cloudflare Access puts its token.
const ASSERTION: &str = "cf-access-jwt-assertion";

/// The proof that a request comes with, unchecked. Of several the first in the guide's order of preference counts, and the
/// others are not looked at: a caller whose better proof fails does not get in by a weaker one.
pub enum Offered<'a> {
    Access(&'a HeaderValue),
    Certificate(ClientCertificate),
    Signature(&'a Parts),
    Bearer(&'a str),
}

/// What has held, and what is still to be seen to before the request may pass.
pub struct Checked {
    pub caller: Caller,
    /// Set when the proof is good for one request only.
    pub once: Option<Once>,
    /// Set when the proof is a signature, which has to cover the body, too.
    pub signed: Option<Verified>,
}

impl<'a> Offered<'a> {
    pub fn of(parts: &'a Parts, invocation: &Invocation) -> Option<Self> {
        if let Some(token) = parts.headers.get(ASSERTION) {
            return Some(Self::Access(token));
        }
        if let Some(certificate) = invocation.raw().and_then(certificate::presented) {
            return Some(Self::Certificate(certificate));
        }
        if parts.headers.contains_key("signature") || parts.headers.contains_key("signature-input") {
            return Some(Self::Signature(parts));
        }
        own_jwt::bearer(parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?).map(Self::Bearer)
    }

    pub fn proof(&self) -> Proof {
        match self {
            Self::Access(_) => Proof::Access,
            Self::Certificate(_) => Proof::ClientCertificate,
            Self::Signature(_) => Proof::HttpSignature,
            Self::Bearer(_) => Proof::Jwt,
        }
    }

    /// Whose it is, if it holds. `writes` says that the request is to change something.
    pub async fn check(
        self,
        bindings: &Bindings,
        principals: &Principals,
        invocation: &Invocation,
        writes: bool,
        now: Duration,
    ) -> Result<Checked, Error> {
        let lasting = |caller| Checked { caller, once: None, signed: None };
        match self {
            Self::Access(token) => access::check(bindings, principals, token, invocation, now).await.map(lasting),
            Self::Certificate(certificate) => {
                let fingerprint = certificate.fingerprint().map_err(Error::refused)?;
                let holder = principals.certificates.get(&fingerprint).ok_or(Error::unknown())?;
                Ok(lasting(Caller::of(holder, Proof::ClientCertificate)))
            }
            Self::Signature(parts) => signature::check(bindings, principals, parts, now).await,
            Self::Bearer(token) => bearer::check(bindings, principals, token, writes, now),
        }
    }
}
