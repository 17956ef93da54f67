use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use edge_http::Problem;

use crate::domain::protocol::SUB_PROTOCOL;

/// What can go wrong before a socket is open, and what a client may be told of it. Causes go to the log, never into an answer.
#[derive(Debug)]
pub enum Error {
    /// No room can have this name.
    BadRoom(&'static str),
    /// No session, or one that is not believed.
    Anonymous,
    /// A page of another origin asks, or one that does not say.
    ForeignOrigin,
    NotAnUpgrade,
    /// The client does not offer the protocol that is spoken here.
    NoSubProtocol,
    Banned,
    TooMany,
    Unavailable(worker::Error),
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        // Exhaustive on purpose: a new variant must say its status.
        let problem = match self {
            Self::BadRoom(why) => Problem::new(StatusCode::BAD_REQUEST, "bad-room", why),
            Self::Anonymous => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in first: POST /session")
                .with(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static(concat!("Bearer realm=\"", env!("CARGO_PKG_NAME"), "\"")),
                ),
            Self::ForeignOrigin => {
                Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "rooms are for pages of this origin")
            }
            Self::NotAnUpgrade => {
                Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade-required", "this is for WebSockets")
                    .with(header::UPGRADE, HeaderValue::from_static("websocket"))
            }
            Self::NoSubProtocol => Problem::new(
                StatusCode::BAD_REQUEST,
                "sub-protocol-required",
                format!("the sub-protocol here is {SUB_PROTOCOL}"),
            ),
            Self::Banned => Problem::new(StatusCode::FORBIDDEN, "banned", "you are banned from this room"),
            Self::TooMany => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "ask again a little later")
                    .with(header::RETRY_AFTER, HeaderValue::from_static(crate::routes::PERIOD))
            }
            Self::Unavailable(cause) => Problem::unavailable(cause),
        };
        problem.into_response()
    }
}
