use std::borrow::Cow;
use std::fmt::Display;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::Raw;
use crate::response::known_frame;

/// How the message of an error starts when `js/entry.mjs` ended the call, because wasm under it panicked or trapped.
const RESTARTED: &str = "RESTARTED:";

/// What a caller is told when a request fails: "problem details" (RFC 9457).
///
/// The cause is for the log and never part of the answer. `type` stays `about:blank`, since there is no page to point to;
/// `code` is what a program compares.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
}

impl Problem {
    /// `code` is part of the API: a caller may compare it. `detail` is for the person who reads it.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code: code.into(), detail: detail.into(), headers: Vec::new(), cause: None }
    }

    /// 500: a mistake of ours, or of the configuration.
    pub fn internal(cause: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed here; it may be worth another try")
            .because(cause)
    }

    /// 503: something that this Worker relies on failed (a database, an object, another Worker) in a call that may be made
    /// again: it reads, or it is idempotent.
    pub fn unavailable(cause: impl Display) -> Self {
        let cause = cause.to_string();
        if cause.contains(RESTARTED) {
            return Self::outcome_unknown(cause);
        }
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "a service that this request needs does not answer")
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
            .because(cause)
    }

    /// 503: the same in a call that must not be made again without looking first. `restarted` says that the other side
    /// panicked or trapped in the middle, `outcome-unknown` that it failed, or did not answer in time.
    pub fn outcome_unknown(cause: impl Display) -> Self {
        let cause = cause.to_string();
        let (code, detail) = if cause.contains(RESTARTED) {
            ("restarted", "restarted; whether it took effect is not known")
        } else {
            ("outcome-unknown", "whether it took effect is not known")
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).because(cause)
    }

    /// Adds a response header, `WWW-Authenticate` for one.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds what the log says about it.
    #[must_use]
    pub fn because(mut self, cause: impl Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What a program compares: `not-found`, …
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence for a person.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// As `application/problem+json`.
    pub(crate) fn render(&self) -> Response {
        let body = serde_json::to_string(&self.members()).unwrap_or_default();
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }

    fn members(&self) -> Members<'_> {
        Members {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: &self.code,
        }
    }
}

/// The members of RFC 9457, section 3.1, and an extension of ours.
#[derive(Serialize)]
struct Members<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render();
        response.headers_mut().extend(self.headers.iter().cloned());
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives a failed response the body that `render` writes, whoever made it, and takes out what only the log may say.
///
/// A response counts as axum's own refusal when its status is an error's and its body is empty or plain text. An answer that
/// passes through from elsewhere ([`Raw`]) is left alone.
pub(crate) async fn in_standard_form(
    response: Response,
    render: fn(&Problem) -> Response,
) -> (Response, Option<String>) {
    let status = response.status();
    if status.as_u16() < 400 {
        return (response, None);
    }
    let (mut parts, mut body) = response.into_parts();
    let problem = match parts.extensions.remove::<Problem>() {
        Some(problem) => problem,
        None if parts.extensions.get::<Raw>().is_some() || !is_plain(parts.headers.get(header::CONTENT_TYPE)) => {
            return (Response::from_parts(parts, body), None);
        }
        None => {
            let text = known_frame(&mut body).await.ok().flatten().unwrap_or_default();
            let reason = status.canonical_reason().unwrap_or("error");
            Problem::new(
                status,
                reason.to_ascii_lowercase().replace(' ', "-"),
                if text.is_empty() { reason.into() } else { String::from_utf8_lossy(&text).into_owned() },
            )
        }
    };
    // Headers that middleware set stay.
    let (rendered, body) = render(&problem).into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(rendered.headers);
    (Response::from_parts(parts, body), problem.cause)
}

fn is_plain(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_none_or(|t| t.as_bytes().starts_with(b"text/plain"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_cut_short_is_told_apart_from_one_that_failed() {
        assert_eq!(Problem::unavailable("Error: RESTARTED: wasm trapped").code(), "restarted");
        assert_eq!(Problem::unavailable("D1_ERROR: database is locked").code(), "unavailable");
    }

    #[test]
    fn a_cause_is_not_part_of_the_answer() {
        let problem = Problem::internal("password=hunter2");
        let members = serde_json::to_string(&problem.members()).unwrap_or_default();
        assert!(members.contains("\"code\":\"internal\"") && !members.contains("hunter2"), "{members}");
    }
}
