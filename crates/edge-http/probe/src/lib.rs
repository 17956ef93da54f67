//! A Worker that does and suffers everything that `edge-http` makes promises about. Not an example of style: its tests, in
//! `../tests`, are its reason.
//!
//! [`routes`] is the ordinary way through, [`failure`] the ways to fail, [`room`] a Durable Object, [`events`] the rest of
//! what can enter a Worker.

#![expect(
    clippy::unused_async,
    clippy::unnecessary_wraps,
    reason = "a promise is wanted, also where nothing is awaited"
)]

mod events;
mod failure;
mod room;
mod routes;

use edge_http::{App, Request, Response};
use worker::{Context, Env, Result, event};

static APP: App = App::new(routes::router);

#[event(fetch)]
async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
    APP.serve(req, env, ctx).await
}
