//! The least that a Worker can be: what size and start-up are measured on.

use axum::Router;
use axum::routing::get;
use edge_http::{App, Request, Response};
use worker::{Context, Env, Result, event};

static APP: App = App::new(|_| Ok(Router::new().route("/", get(|| async { "Hello, World!" }))));

#[event(fetch)]
async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
    APP.serve(req, env, ctx).await
}
