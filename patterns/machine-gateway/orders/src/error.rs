use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use edge_http::Problem;

/// What can go wrong here, and what a caller may be told of it. Causes go to the log, never into an answer.
#[derive(Debug)]
pub enum Error {
    /// No identity, or one of a later version. Nothing was done.
    NotUnderstood,
    NoSuchOrder,
    /// The database failed to read.
    Read(worker::Error),
    /// The database failed, or did not answer, when it was to change something.
    Write(worker::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        // Exhaustive on purpose: a new variant must say its status.
        let problem = match self {
            Self::NotUnderstood => Problem::new(
                StatusCode::NOT_IMPLEMENTED,
                contract::NOT_UNDERSTOOD,
                "the request does not say who calls, in a way that is understood here",
            ),
            Self::NoSuchOrder => Problem::new(StatusCode::NOT_FOUND, "no-such-order", "there is no such order"),
            Self::Read(cause) => Problem::unavailable(cause),
            Self::Write(cause) => Problem::outcome_unknown(cause),
        };
        problem.into_response()
    }
}
