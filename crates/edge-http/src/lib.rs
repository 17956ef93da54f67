//! The way in and out of a Worker: axum handlers behind `#[event(fetch)]`, cheaply and safely.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use edge_http::{App, Request, Response};
//! use worker::{Context, Env, Result, event};
//!
//! static APP: App = App::new(|_env| Ok(Router::new().route("/", get(|| async { "Hello, World!" }))));
//!
//! #[event(fetch)]
//! async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
//!     APP.serve(req, env, ctx).await
//! }
//! # fn main() {}
//! ```
//!
//! A request enters [`Request`] as it is, its head crosses into wasm once, as one text; [`App`] calls the router, turns
//! every failure into a [`Problem`], names the request ([`Trace`]), and writes one line to the log; [`Response`] leaves in
//! one call. The same router also serves over `worker`'s own `http` types: see [`App::serve_http`].
//!
//! `js/entry.mjs` stands between the runtime and all this: what it promises when wasm panics or traps is said there.
//!
//! Invariants:
//! - wasm32 has one thread: every [`worker::send::SendWrapper`] here rests on that.
//! - One router per wasm instance. It holds bindings, which belong to the isolate, and nothing that belongs to a request. A
//!   trap makes a new instance, and with it a new router.
//! - `FromRequest` never fails (`worker` would answer 500): what cannot be an HTTP request is answered 400, 414 or 431.
//! - A JavaScript request's body is used once: polled through axum, or taken from [`Invocation::raw`], never both.

mod app;
mod fault;
mod json_object;
mod panic;
mod problem;
mod request;
mod response;
mod rpc;
mod trace;
mod utf8;
#[cfg(all(test, target_arch = "wasm32"))]
mod wasm_tests;
mod within;

pub use app::App;
pub use axum::body::Bytes;
pub use axum::http::{self, StatusCode};
pub use fault::{fault, provoke};
pub use json_object::JsonObject;
pub use problem::Problem;
pub use request::{Invocation, Request};
pub use response::{Raw, Response};
pub use rpc::Entrypoint;
pub use trace::Trace;
pub use utf8::utf8;
pub use within::within;
