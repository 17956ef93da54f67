//! A small API: plans are read from KV, sign-ups are written to D1.
//!
//! A request enters [`routes`], becomes a [`domain`] type, and one call into [`store`] does the work.
//!
//! Promise: a team that was answered 201 is signed up for that plan, once, however often it asks again.

mod config;
mod domain;
mod error;
mod routes;
mod store;

use edge_http::{App, Request, Response};
use worker::{Context, Env, Result, event};

static APP: App = App::new(routes::router);

#[event(fetch)]
async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
    APP.serve(req, env, ctx).await
}
