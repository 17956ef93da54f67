use std::error::Error as StdError;
use std::future::ready;
use std::pin::Pin;
use std::task::Poll;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{self, HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use http_body::Frame;
use wasm_bindgen::prelude::*;
use worker::js_sys::Uint8Array;
use worker::send::SendWrapper;
use worker::web_sys;

#[wasm_bindgen(module = "/js/crossing.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    fn respond(status: u16, headers: &str, body: Option<&[u8]>) -> Result<web_sys::Response, JsValue>;
    #[wasm_bindgen(catch, js_name = respond)]
    fn respond_stream(status: u16, headers: &str, body: web_sys::ReadableStream) -> Result<web_sys::Response, JsValue>;
    #[wasm_bindgen(catch)]
    fn amend(response: &web_sys::Response, headers: &str) -> Result<web_sys::Response, JsValue>;
}

/// What `#[event(fetch)]` hands out: a finished JavaScript response.
pub struct Response(web_sys::Response);

impl worker::IntoResponse for Response {
    fn into_raw(self) -> Result<web_sys::Response, impl Into<Box<dyn StdError>>> {
        Ok::<_, worker::Error>(self.0)
    }
}

/// A response that JavaScript already has: from `fetch`, a service binding, R2, or an accepted WebSocket.
///
/// It passes through as it is, its body never enters wasm; headers that middleware sets are set on it. Middleware does not
/// see its body.
#[derive(Clone)]
pub struct Raw(SendWrapper<web_sys::Response>);

impl Raw {
    /// 101 is that of an accepted WebSocket.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.0.status()).unwrap_or_default()
    }
}

impl From<web_sys::Response> for Raw {
    fn from(response: web_sys::Response) -> Self {
        Self(SendWrapper(response))
    }
}

impl From<worker::Response> for Raw {
    fn from(response: worker::Response) -> Self {
        web_sys::Response::from(response).into()
    }
}

/// To read the body of. (`worker` takes a response apart, and makes another one of the parts when it is passed on.)
impl From<Raw> for worker::Response {
    fn from(Raw(response): Raw) -> Self {
        response.0.into()
    }
}

impl IntoResponse for Raw {
    fn into_response(self) -> axum::response::Response {
        // What middleware and the log see.
        let mut response = (self.status(), Body::empty()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A Worker may answer with 200 to 599; what JavaScript has already (a WebSocket's 101) is as it is.
pub(crate) fn can_leave(response: &http::Response<Body>) -> bool {
    (200..600).contains(&response.status().as_u16()) || response.extensions().get::<Raw>().is_some()
}

pub(crate) async fn into_js(response: http::Response<Body>, is_head: bool) -> worker::Result<Response> {
    let (mut parts, mut body) = response.into_parts();
    if let Some(Raw(raw)) = parts.extensions.remove() {
        parts.headers.remove(header::CONTENT_LENGTH); // axum measured the empty stand-in
        return Ok(Response(amend(&raw.0, &lines(&parts.headers))?));
    }

    let first = if is_head { None } else { known_frame(&mut body).await? };
    if !is_head && !body.is_end_stream() {
        parts.headers.remove(header::CONTENT_LENGTH);
        return Ok(Response(respond_stream(parts.status.as_u16(), &lines(&parts.headers), stream(first, body))?));
    }
    if !is_head {
        parts.headers.remove(header::CONTENT_LENGTH); // the runtime measures; without a body it takes our word
    }
    let first = first.filter(|_| !matches!(parts.status.as_u16(), 204 | 205 | 304));
    Ok(Response(respond(parts.status.as_u16(), &lines(&parts.headers), first.as_deref())?))
}

/// The first frame of a body of known length: nearly always the whole, and there already. Of any other body nothing: it is
/// streamed, and not polled here, since a future that is pending in one task may not notice that it was moved to another
/// (`worker::Delay` does not).
pub(crate) async fn known_frame(body: &mut Body) -> worker::Result<Option<Bytes>> {
    if body.size_hint().exact().is_none_or(|length| length == 0) {
        return Ok(None);
    }
    let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await.transpose();
    Ok(frame.map_err(|e| worker::Error::RustError(e.to_string()))?.and_then(|frame| frame.into_data().ok()))
}

/// "name\nvalue\n" for each header. The runtime writes header values as UTF-8: other bytes cannot leave a Worker and become
/// U+FFFD.
pub(crate) fn lines(headers: &HeaderMap) -> String {
    let mut out = String::with_capacity(headers.len() * 48);
    for (name, value) in headers {
        out.push_str(name.as_str());
        out.push('\n');
        out.push_str(&String::from_utf8_lossy(value.as_bytes()));
        out.push('\n');
    }
    out
}

/// A body as a JavaScript stream, `first` before the rest: a chunk is asked for when the reader wants one, and not before.
fn stream(first: Option<Bytes>, mut body: Body) -> web_sys::ReadableStream {
    let mut first = first.map(|bytes| Ok(Frame::data(bytes)));
    let frames = poll_fn(move |cx| match first.take() {
        Some(frame) => Poll::Ready(Some(frame)),
        None => Pin::new(&mut body).poll_frame(cx),
    });
    let chunks = frames.filter_map(|frame| {
        ready(match frame.map(Frame::into_data) {
            Ok(Ok(bytes)) => Some(Ok(Uint8Array::from(&*bytes).into())),
            Ok(Err(_trailers)) => None,
            Err(e) => Some(Err(JsValue::from(e.to_string()))),
        })
    });
    wasm_streams::ReadableStream::from_stream(chunks).into_raw().unchecked_into()
}
