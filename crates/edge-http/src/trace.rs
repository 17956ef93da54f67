use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{self, HeaderMap, StatusCode};
use serde::ser::{Serialize, SerializeMap, Serializer};
use wasm_bindgen::prelude::*;
use worker::js_sys::{self, Promise};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{console_error, console_log, web_sys};

use crate::response::{Raw, lines};

#[wasm_bindgen(module = "/js/crossing.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn call(service: &JsValue, method: &str, url: &str, headers: &str, body: Option<&[u8]>)
    -> Result<Promise, JsValue>;
}

/// How Cloudflare's edge names a request. A Worker that calls another one sends it along.
pub(crate) const REQUEST_ID: &str = "cf-ray";
/// W3C Trace Context, section 3.2.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// The longest request id that is believed, in bytes.
const MAX_ID: usize = 64;

/// The name of a request: in the log, in the answer (`x-request-id`), and towards other Workers, which continue the same
/// trace. It gathers what the request's one line in the log will say. An extractor; a clone is the same request.
#[derive(Clone)]
pub struct Trace(Arc<Inner>);

struct Inner {
    request_id: String,
    span: Span,
    started: u64,
    notes: Mutex<Vec<(&'static str, String)>>,
}

impl Trace {
    /// Continues the trace that a request's headers name, or begins one.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self::continued(text(TRACEPARENT), text(REQUEST_ID))
    }

    /// Continues what a caller sent along, its [`Trace::traceparent`] and [`Trace::request_id`]; what is not well formed is
    /// replaced.
    pub fn continued(traceparent: &str, request_id: &str) -> Self {
        let begin = || u128::from(random()) << 64 | u128::from(random());
        let span = Span { trace: Span::parse(traceparent).map_or_else(begin, |span| span.trace), parent: random() };
        let request_id = if is_id(request_id) { request_id.to_owned() } else { format!("{:032x}", span.trace) };
        Self(Arc::new(Inner { request_id, span, started: now(), notes: Mutex::default() }))
    }

    /// What this request is called in the log and in the answer: the edge's name for it, or the trace's.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The `traceparent` to send along with a call to another service.
    pub fn traceparent(&self) -> String {
        self.0.span.to_string()
    }

    /// Calls another Worker over a service binding, or a Durable Object by its stub, in the same trace. The host of the URI
    /// leads nowhere: the binding does. A redirect is an answer, not followed. The answer stays in JavaScript: it is passed on
    /// as it is, or read as a [`worker::Response`].
    pub async fn fetch(
        &self,
        service: &impl AsRef<JsValue>,
        request: http::request::Builder,
        body: Bytes,
    ) -> worker::Result<Raw> {
        let request = request.body(body).map_err(|wrong| worker::Error::RustError(wrong.to_string()))?;
        let (parts, body) = request.into_parts();
        let headers = format!(
            "{}{TRACEPARENT}\n{}\n{REQUEST_ID}\n{}\n",
            lines(&parts.headers),
            self.traceparent(),
            self.request_id()
        );
        let body = (!body.is_empty()).then_some(&*body);
        let answer = call(service.as_ref(), parts.method.as_str(), &parts.uri.to_string(), &headers, body)?;
        Ok(JsFuture::from(answer).await?.unchecked_into::<web_sys::Response>().into())
    }

    /// Adds a member to the line in the log: who called, what it was about. Never a secret, never personal data.
    pub fn note(&self, name: &'static str, value: impl Into<String>) {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner).push((name, value.into()));
    }

    /// Writes the line, one JSON object. `event` says what ended: a `request`, an `rpc`, a `message`; `status` how, in HTTP's
    /// terms, whatever the event.
    pub fn log(&self, event: &str, status: StatusCode) {
        let line = serde_json::to_string(&Line { event, status, now: now(), of: &self.0 });
        match line.as_deref().unwrap_or("{}") {
            line if status.is_server_error() => console_error!("{line}"),
            line => console_log!("{line}"),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Trace {
    type Rejection = Infallible;

    /// The request's own, or a fresh one where the router runs without [`crate::App`].
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

/// A position in a trace: what `traceparent` carries.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    trace: u128,
    parent: u64,
}

impl Span {
    /// Section 3.2.2: `version-traceid-parentid-flags`, lower-case hexadecimal; an id of zeros is invalid, and so is version
    /// ff; a version that we do not know is read as if it were 00, whatever follows.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.splitn(5, '-');
        let mut field = |digits: usize| {
            let field = fields.next().filter(|f| f.len() == digits)?;
            field.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some(field)
        };
        let (version, trace, parent, _flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        let more = fields.next().is_some();
        let (trace, parent) = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(parent, 16).ok()?);
        (version != "ff" && !(version == "00" && more) && trace != 0 && parent != 0).then_some(Self { trace, parent })
    }
}

impl fmt::Display for Span {
    /// Always "sampled": every request is in our log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-01", self.trace, self.parent)
    }
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// 63 random bits and a one, so never zero. Names need to differ, not to be hard to guess, and this is far cheaper than
/// `crypto.getRandomValues`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number from 0 up to 2^32")]
fn random() -> u64 {
    let bits = || (js_sys::Math::random() * 4_294_967_296.0) as u64; // 2^32
    bits() << 32 | bits() | 1
}

/// Milliseconds since 1970. (`worker::Date` makes a JavaScript object to ask.)
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number, not negative")]
fn now() -> u64 {
    js_sys::Date::now() as u64
}

/// One line of the log.
struct Line<'a> {
    event: &'a str,
    status: StatusCode,
    now: u64,
    of: &'a Inner,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("level", if self.status.is_server_error() { "error" } else { "info" })?;
        map.serialize_entry("event", self.event)?;
        map.serialize_entry("status", &self.status.as_u16())?;
        for (name, value) in &*self.of.notes.lock().unwrap_or_else(PoisonError::into_inner) {
            map.serialize_entry(name, value)?;
        }
        // The clock stands still between I/O: this is time spent waiting, not computing.
        map.serialize_entry("ms", &self.now.saturating_sub(self.of.started))?;
        map.serialize_entry("request_id", &self.of.request_id)?;
        map.serialize_entry("trace_id", &format_args!("{:032x}", self.of.span.trace))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_and_written_as_the_recommendation_says() {
        assert_eq!(Span::parse(GIVEN).map(|span| span.to_string()).as_deref(), Some(GIVEN));
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = GIVEN.replacen("00", "cc", 1) + "-what-the-future-will-bring";
        assert_eq!(Span::parse(&later), Span::parse(GIVEN));
    }

    #[test]
    fn what_is_not_well_formed_begins_a_new_trace() {
        for text in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0é",
        ] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_request_id_is_short_and_plain() {
        assert!(is_id("8f2d6a1c9b3e4f50-LHR"));
        assert!(!is_id("") && !is_id("a b") && !is_id("a\"b") && !is_id(&"a".repeat(65)));
    }
}
