use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use edge_http::Problem;

use crate::domain::limits::TooLarge;
use crate::domain::scope::Scope;

/// What can go wrong here, and what a caller may be told of it. Causes go to the log, never into an answer.
#[derive(Debug)]
pub enum Error {
    /// The head is larger than anything that this API is sent.
    Head(TooLarge),
    /// No proof at all.
    Anonymous,
    /// A proof that does not hold, and why: for the log alone, since an answer that tells which check failed helps the one who
    /// guesses.
    Refused(Cow<'static, str>),
    /// A known machine that may not do this.
    Forbidden(Scope),
    /// More requests than a machine is to make.
    TooMany,
    /// The body is longer than `routes::MAX_BODY`.
    BodyTooLong,
    /// The body took longer than `admission::BODY_TIMEOUT`.
    BodyTooSlow,
    /// The body did not arrive.
    BodyLost(axum::Error),
    /// What the decision needs (policy, keys, replay protection, rate limit) does not answer. Nobody is let in unchecked.
    Undecided(worker::Error),
    NoSuchReport,
    /// The internal Worker is of another version than this one, for a moment, and has done nothing.
    NotUnderstood,
    /// An internal Worker failed to read something.
    Unavailable(worker::Error),
    /// An internal Worker failed, or did not answer, when it was to change something.
    OutcomeUnknown(worker::Error),
}

impl Error {
    /// A proof that does not hold.
    pub fn refused(why: impl ToString) -> Self {
        Self::Refused(why.to_string().into())
    }

    /// A proof whose credential the policy does not list.
    pub fn unknown() -> Self {
        Self::Refused("the credential is of no principal".into())
    }

    /// What the log says of a request that this ended before a handler ran: the outcome and the reason for it.
    pub fn decision(&self) -> (&'static str, Cow<'static, str>) {
        let refused = |reason: &'static str| ("refused", reason.into());
        match self {
            Self::Head(_) => refused("the head is too large"),
            Self::Anonymous => refused("anonymous"),
            Self::Refused(why) => ("refused", why.clone()),
            Self::Forbidden(_) => refused("the scope is not granted"),
            Self::TooMany => refused("the rate limit is reached"),
            Self::BodyTooLong => refused("the body is too long"),
            Self::BodyTooSlow => refused("the body is too slow"),
            Self::BodyLost(_) => refused("the body did not arrive"),
            Self::Undecided(_)
            | Self::NoSuchReport
            | Self::NotUnderstood
            | Self::Unavailable(_)
            | Self::OutcomeUnknown(_) => ("failed", "a service does not answer".into()),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        // Exhaustive on purpose: a new variant must say its status.
        let problem = match self {
            Self::Head(TooLarge::Target) => {
                Problem::new(StatusCode::URI_TOO_LONG, "uri-too-long", "the URI is too long")
            }
            Self::Head(TooLarge::Fields | TooLarge::Size) => Problem::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head-too-large",
                "the header fields are too many, or too large",
            ),
            Self::Anonymous | Self::Refused(_) => unauthorized(),
            Self::Forbidden(scope) => Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                format!("this machine has not the scope {}", scope.as_str()),
            ),
            Self::TooMany => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "ask again a little later")
                    .with(header::RETRY_AFTER, HeaderValue::from_static(crate::limiter::PERIOD))
            }
            Self::BodyTooLong => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", "the body is too long")
            }
            Self::BodyTooSlow => {
                Problem::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "the body did not come in time")
            }
            Self::BodyLost(cause) => {
                Problem::new(StatusCode::BAD_REQUEST, "bad-request", "the body did not arrive").because(cause)
            }
            Self::NoSuchReport => Problem::new(StatusCode::NOT_FOUND, "no-such-report", "there is no such report"),
            Self::NotUnderstood => {
                Problem::unavailable("the two Workers do not understand each other: is one not deployed yet?")
            }
            // Not `Problem::unavailable`: a nonce may be spent, so the same request may be a replay when it comes again.
            Self::Undecided(cause) => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "nothing was done, since it cannot be checked who asks; prove it anew when you ask again",
            )
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
            .because(cause),
            Self::Unavailable(cause) => Problem::unavailable(cause),
            Self::OutcomeUnknown(cause) => Problem::outcome_unknown(cause),
        };
        problem.into_response()
    }
}

/// One answer to the anonymous and to everybody whose proof does not hold. RFC 9110, section 11.6.1, requires a challenge;
/// `Bearer` is the one of our proofs for which a scheme is registered. (No `error` parameter of RFC 6750: it would tell a
/// proof that was not seen from one that was not believed.)
fn unauthorized() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "this API is for machines that it knows, with a proof of who they are",
    )
    .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"machine-gateway\""))
}
