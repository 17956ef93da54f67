use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};
use edge_http::{Invocation, Problem, Raw, Trace, fault};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsCast;
use worker::send::SendFuture;
use worker::{Delay, Env, Result, WebSocketPair, js_sys};

use crate::failure::fail;

/// How many routers were built, and how often that was asked, since this wasm instance began.
static BUILT: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);

pub fn router(env: &Env) -> Result<Router> {
    BUILT.fetch_add(1, Ordering::Relaxed);
    Ok(Router::new()
        .route("/", get(|| async { "Hello, World!" }))
        .route("/built", get(built))
        .route("/memory", get(memory))
        .route("/slow/{ms}", get(slow))
        .route("/fail/{kind}", get(fail_here))
        .route("/fault", get(faulty))
        .route("/greet", post(greet).layer(DefaultBodyLimit::max(100_000)))
        .route("/bytes", post(|body: axum::body::Bytes| async move { body.len().to_string() }))
        .route("/count", post(count))
        .route("/sip", post(sip))
        .route("/stream/{ms}", get(lines))
        .route("/flood", get(flood))
        .route("/headers", get(headers))
        .route("/cookies", get(cookies))
        .route("/empty", get(|| async { StatusCode::NO_CONTENT }))
        .route("/status/{status}", get(status))
        .route("/later", get(later))
        .route("/note", get(note))
        .route("/through", get(through))
        .route("/seen", get(seen))
        .route("/socket", get(socket))
        .route("/enqueue/{text}", get(enqueue))
        .route("/room/{name}/{*rest}", get(room))
        .with_state(env.clone()))
}

fn broken(cause: worker::Error) -> Problem {
    Problem::unavailable(cause)
}

async fn built() -> Json<[usize; 2]> {
    Json([BUILT.load(Ordering::Relaxed), ASKED.fetch_add(1, Ordering::Relaxed) + 1])
}

/// Bytes of wasm memory; it never shrinks.
async fn memory() -> String {
    let memory = wasm_bindgen::memory().unchecked_into::<js_sys::WebAssembly::Memory>();
    memory.buffer().unchecked_into::<js_sys::ArrayBuffer>().byte_length().to_string()
}

#[worker::send]
async fn slow(Path(ms): Path<u64>) -> &'static str {
    Delay::from(Duration::from_millis(ms)).await;
    "slept"
}

async fn fail_here(Path(kind): Path<String>) -> Result<&'static str, Problem> {
    fail(&kind).map_err(Problem::internal)?;
    Ok("fine")
}

#[worker::send]
async fn faulty(State(env): State<Env>) -> Result<&'static str, Problem> {
    fault(&env, "probe").await.map_err(broken)?;
    Ok("no fault")
}

#[derive(Deserialize, Serialize)]
struct Greeting {
    name: String,
}

async fn greet(Json(greeting): Json<Greeting>) -> Json<Greeting> {
    Json(Greeting { name: format!("Hello, {}!", greeting.name) })
}

/// Counts a body that the handler takes as a stream: no limit holds here.
async fn count(body: Body) -> String {
    let (mut bytes, mut frames) = (0, 0);
    let mut body = body.into_data_stream();
    while let Some(Ok(frame)) = body.next().await {
        bytes += frame.len();
        frames += 1;
    }
    format!("{bytes} bytes in {}", if frames > 1 { "several" } else { "one" })
}

/// Takes one frame of a body and leaves the rest.
#[worker::send]
async fn sip(body: Body) -> String {
    let mut body = body.into_data_stream();
    let first = body.next().await.and_then(std::result::Result::ok).map_or(0, |frame| frame.len());
    Delay::from(Duration::from_millis(500)).await;
    first.to_string()
}

/// A line every so many milliseconds.
async fn lines(Path(ms): Path<u64>) -> Body {
    Body::from_stream(stream::unfold(0u32, move |n| {
        SendFuture::new(async move {
            Delay::from(Duration::from_millis(ms)).await;
            (n < 15).then(|| (Ok::<_, Infallible>(format!("line {n}\n")), n + 1))
        })
    }))
}

/// A stream that has a mebibyte ready whenever it is asked; the log tells how often it was.
async fn flood() -> Body {
    Body::from_stream(stream::iter(0..200u32).map(|n| {
        worker::console_log!("flood {n}");
        Ok::<_, Infallible>(vec![b'x'; 1 << 20])
    }))
}

async fn headers(headers: HeaderMap) -> impl IntoResponse {
    let given = headers.get("x-given").cloned().unwrap_or(HeaderValue::from_static(""));
    let all: Vec<_> = headers.iter().map(|(n, v)| format!("{n}: {}", String::from_utf8_lossy(v.as_bytes()))).collect();
    ([("x-given", given)], all.join("\n"))
}

async fn cookies() -> impl IntoResponse {
    (AppendHeaders([(header::SET_COOKIE, "a=1; Path=/"), (header::SET_COOKIE, "b=2; HttpOnly")]), "two")
}

async fn status(Path(status): Path<u16>) -> impl IntoResponse {
    (StatusCode::from_u16(status).unwrap_or_default(), "text")
}

async fn later(State(env): State<Env>, invocation: Invocation) -> &'static str {
    invocation.context().wait_until(async move {
        Delay::from(Duration::from_millis(200)).await;
        if let Ok(put) = env.kv("NOTES").and_then(|notes| Ok(notes.put("later", "done")?)) {
            let _ = put.execute().await;
        }
    });
    "scheduled"
}

#[worker::send]
async fn note(State(env): State<Env>) -> Result<String, Problem> {
    let notes = env.kv("NOTES").map_err(broken)?;
    notes.get("later").text().await.map(Option::unwrap_or_default).map_err(|e| broken(e.into()))
}

/// A service binding's answer, handed on without being looked at. `x-path` says what is asked, `x-service` whom.
#[worker::send]
async fn through(
    State(env): State<Env>,
    trace: Trace,
    headers: HeaderMap,
) -> Result<([(&'static str, &'static str); 2], Raw), Problem> {
    let path = headers.get("x-path").and_then(|path| path.to_str().ok()).unwrap_or("/");
    let service = headers.get("x-service").and_then(|name| name.to_str().ok()).unwrap_or("ITSELF");
    let service = env.service(service).map_err(broken)?;
    let answer =
        trace.fetch(&service, Request::get(format!("http://itself{path}")), Bytes::new()).await.map_err(broken)?;
    Ok(([("x-through", "yes"), ("set-cookie", "own=1")], answer))
}

async fn seen(headers: HeaderMap, trace: Trace) -> Json<[String; 3]> {
    let given = headers.get("traceparent").and_then(|v| v.to_str().ok()).unwrap_or_default();
    Json([given.to_owned(), trace.traceparent(), trace.request_id().to_owned()])
}

async fn socket() -> Result<Raw, Problem> {
    let pair = WebSocketPair::new().map_err(broken)?;
    pair.server.accept().and_then(|()| pair.server.send_with_str("hello")).map_err(broken)?;
    Ok(worker::Response::from_websocket(pair.client).map_err(broken)?.into())
}

#[worker::send]
async fn enqueue(State(env): State<Env>, Path(text): Path<String>) -> Result<&'static str, Problem> {
    env.queue("JOBS").map_err(broken)?.send(text).await.map_err(broken)?;
    Ok("sent")
}

/// What a Worker makes of an object's failure: it sees an error, never a hang.
#[worker::send]
async fn room(
    State(env): State<Env>,
    invocation: Invocation,
    Path((name, _)): Path<(String, String)>,
) -> Result<Raw, Problem> {
    let room = env.durable_object("ROOM").and_then(|rooms| rooms.get_by_name(&name)).map_err(broken)?;
    let request = invocation.raw().ok_or_else(|| Problem::internal("no request"))?;
    Ok(room.fetch_with_request(Clone::clone(request).into()).await.map_err(broken)?.into())
}
