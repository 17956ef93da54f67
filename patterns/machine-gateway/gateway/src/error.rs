use access_jwt::Refused;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use edge_http::Problem;

/// What can go wrong here, and what a caller may be told of it. Causes go to the log, never into an answer.
#[derive(Debug)]
pub enum Error {
    /// No token.
    Anonymous,
    /// A token that is not believed.
    Refused(Refused),
    /// A token that is believed, of a person.
    NotAMachine,
    /// The key server does not answer, or Web Crypto does not.
    Unchecked(worker::Error),
    NoSuchOrder,
    /// The orders Worker is of another version than this one, for a moment, and has done nothing.
    NotUnderstood,
    /// The orders Worker failed to read something.
    Orders(worker::Error),
    /// The orders Worker failed, or did not answer, when it was to change something.
    OutcomeUnknown(worker::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        // Exhaustive on purpose: a new variant must say its status.
        let problem = match self {
            Self::Anonymous => unauthorized(
                "no-token",
                "a service token of Cloudflare Access is needed",
                "Bearer realm=\"machine-gateway\"".into(),
            ),
            Self::Refused(why) => unauthorized(
                "invalid-token",
                why.to_string(),
                format!("Bearer realm=\"machine-gateway\", error=\"invalid_token\", error_description=\"{why}\""),
            ),
            Self::NotAMachine => Problem::new(StatusCode::FORBIDDEN, "not-a-machine", "this API is for service tokens"),
            Self::Unchecked(cause) | Self::Orders(cause) => Problem::unavailable(cause),
            Self::OutcomeUnknown(cause) => Problem::outcome_unknown(cause),
            Self::NoSuchOrder => Problem::new(StatusCode::NOT_FOUND, "no-such-order", "there is no such order"),
            Self::NotUnderstood => {
                Problem::unavailable("the two Workers do not understand each other: is one not deployed yet?")
            }
        };
        problem.into_response()
    }
}

/// 401 with the challenge that RFC 9110, section 11.6.1, requires, in the form of RFC 6750, section 3: it is a bearer token,
/// though Access sends it in a header of its own, for which no scheme is registered.
fn unauthorized(code: &'static str, detail: impl Into<std::borrow::Cow<'static, str>>, challenge: String) -> Problem {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, code, detail);
    match HeaderValue::from_str(&challenge) {
        Ok(challenge) => problem.with(header::WWW_AUTHENTICATE, challenge),
        Err(_) => problem,
    }
}
