use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use edge_http::Problem;

/// What can go wrong, and what a caller may be told of it. Causes go to the log, never into an answer.
#[derive(Debug)]
pub enum Error {
    NoSuchPlan,
    HasAnotherPlan,
    Storage(worker::Error),
}

impl From<worker::Error> for Error {
    fn from(cause: worker::Error) -> Self {
        Self::Storage(cause)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        // Exhaustive on purpose: a new variant must say its status.
        let problem = match self {
            Self::NoSuchPlan => Problem::new(StatusCode::NOT_FOUND, "no-such-plan", "there is no such plan"),
            Self::HasAnotherPlan => Problem::new(StatusCode::CONFLICT, "other-plan", "the team has another plan"),
            Self::Storage(cause) => Problem::unavailable(cause),
        };
        problem.into_response()
    }
}
