use std::error::Error as StdError;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use http_body::{Frame, SizeHint};
use wasm_bindgen::prelude::*;
use worker::js_sys::Uint8Array;
use worker::send::SendWrapper;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Context, web_sys};

use crate::{Problem, Trace, trace};

#[wasm_bindgen(module = "/js/crossing.js")]
extern "C" {
    fn head(request: &web_sys::Request) -> Vec<u8>;
}

/// The longest URI that `http` can hold, in bytes.
const MAX_URI: usize = u16::MAX as usize - 1;
/// Up to this declared length a body is read whole, in one crossing; a longer one, or one of unknown length, as a stream, so
/// that axum's limit on bodies can stop it before it fills memory (wasm memory never shrinks).
const MAX_WHOLE_BODY: u64 = 64 << 10;

/// What `#[event(fetch)]` hands in: the JavaScript request, not yet looked at.
pub struct Request(web_sys::Request);

impl worker::FromRequest for Request {
    fn from_raw(raw: web_sys::Request) -> Result<Self, impl Into<Box<dyn StdError>>> {
        Ok::<_, worker::Error>(Self(raw))
    }
}

impl Request {
    /// The name of a request whose head is not valid as a whole.
    pub(crate) fn trace(&self) -> Trace {
        let get = |name| self.0.headers().get(name).ok().flatten().unwrap_or_default();
        Trace::continued(&get(trace::TRACEPARENT), &get(trace::REQUEST_ID))
    }
}

/// The invocation behind a request. An extractor.
#[derive(Clone)]
pub struct Invocation(Arc<SendWrapper<(Context, Option<web_sys::Request>)>>);

impl Invocation {
    pub(crate) fn new(context: Context, raw: Option<web_sys::Request>) -> Self {
        Self(Arc::new(SendWrapper((context, raw))))
    }

    /// For `wait_until`.
    pub fn context(&self) -> &Context {
        &self.0.0.0
    }

    /// The JavaScript request, for `cf` or to hand its body on as it is (to R2, say). None under [`crate::App::serve_http`].
    pub fn raw(&self) -> Option<&web_sys::Request> {
        self.0.0.1.as_ref()
    }
}

impl<S: Sync> FromRequestParts<S> for Invocation {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::internal("this router is not served by App"))
    }
}

/// The request as axum wants it: header values and URI are slices of the one text that crossed, the body is read on demand.
pub(crate) fn into_http(Request(raw): &Request, context: Context) -> Result<http::Request<Body>, Problem> {
    let bad = |what: &'static str| Problem::new(StatusCode::BAD_REQUEST, "bad-request", what);
    let text = Bytes::from(head(raw));
    let mut lines = Lines { text: &text, next: 0 };

    let method =
        lines.next().and_then(|at| Method::from_bytes(text.get(at)?).ok()).ok_or_else(|| bad("no such method"))?;
    let uri = lines.next().unwrap_or_default();
    if uri.len() > MAX_URI {
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri-too-long", "the URI is too long"));
    }
    let uri = Uri::from_maybe_shared(text.slice(uri)).map_err(|_| bad("not a valid URI"))?;
    let mut headers = HeaderMap::with_capacity(16);
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        let name =
            HeaderName::from_bytes(text.get(name).unwrap_or_default()).map_err(|_| bad("not a valid header name"))?;
        let value = HeaderValue::from_maybe_shared(text.slice(value)).map_err(|_| bad("not a valid header value"))?;
        headers.try_append(name, value).map_err(|_| {
            Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too-many-headers", "too many header fields")
        })?;
    }

    let body = match declared_length(&method, &headers) {
        Some(0) => Body::empty(),
        length => Body::new(JsBody(SendWrapper(State::Unread { raw: Clone::clone(raw), length }))),
    };
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request.extensions_mut().insert(Invocation::new(context, Some(Clone::clone(raw))));
    Ok(request)
}

/// The body's length in bytes, where it is known before reading.
fn declared_length(method: &Method, headers: &HeaderMap) -> Option<u64> {
    match headers.get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.parse().ok(),
        None if matches!(*method, Method::GET | Method::HEAD) && !headers.contains_key(header::TRANSFER_ENCODING) => {
            Some(0)
        }
        None => None,
    }
}

/// The lines of a text, as ranges of it.
struct Lines<'a> {
    text: &'a [u8],
    next: usize,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let rest = self.text.get(self.next..)?;
        let start = self.next;
        let end = start + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        self.next = end + 1;
        Some(start..end)
    }
}

/// A request body that touches JavaScript when it is polled, and not before.
struct JsBody(SendWrapper<State>);

enum State {
    Unread { raw: web_sys::Request, length: Option<u64> },
    Whole { read: JsFuture, length: u64 },
    Stream(worker::Body),
    Done,
}

impl State {
    fn open(raw: &web_sys::Request, length: Option<u64>) -> Result<Self, worker::Error> {
        Ok(match length {
            Some(length) if length <= MAX_WHOLE_BODY => {
                Self::Whole { read: JsFuture::from(raw.array_buffer()?), length }
            }
            _ => raw.body().map_or(Self::Done, |stream| Self::Stream(worker::Body::new(stream))),
        })
    }
}

impl HttpBody for JsBody {
    type Data = Bytes;
    type Error = worker::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, worker::Error>>> {
        let state = &mut self.0.0;
        if let State::Unread { raw, length } = state {
            *state = State::open(raw, *length)?;
        }
        match state {
            State::Whole { read, length } => {
                let read = ready!(Pin::new(read).poll(cx));
                let length = std::mem::take(length);
                *state = State::Done;
                let bytes = Uint8Array::new(&read?).to_vec();
                // A length that lies, which a service binding lets through, must not get past a limit.
                if bytes.len() as u64 > length {
                    return Poll::Ready(Some(Err(worker::Error::RustError("the body is longer than it says".into()))));
                }
                Poll::Ready(Some(Ok(Frame::data(bytes.into()))))
            }
            State::Stream(stream) => Pin::new(stream).poll_frame(cx),
            State::Unread { .. } | State::Done => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0.0, State::Done)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0.0 {
            State::Unread { length, .. } => length.map(SizeHint::with_exact).unwrap_or_default(),
            State::Whole { length, .. } => SizeHint::with_exact(*length),
            State::Stream(_) => SizeHint::default(),
            State::Done => SizeHint::with_exact(0),
        }
    }
}
