//! Holds the orders. Reachable over service bindings only; it believes what the gateway says of the caller.
//!
//! A request meets [`identity`] first, then enters [`routes`], which are the public API's own: the gateway passes them on.
//! Another Worker's call over RPC enters [`maintenance`]. One call into [`store`] does the work.
//!
//! Promises:
//! - An order that was answered 201 is stored, and stays until it is older than the retention.
//! - No handler runs without an identity, and each query names its principal.

mod config;
mod cursor;
mod error;
mod identity;
mod maintenance;
mod routes;
mod store;

use edge_http::{App, Request, Response};
use worker::{Context, Env, Result, event};

static APP: App = App::new(routes::router);

#[event(fetch)]
async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
    APP.serve(req, env, ctx).await
}
