//! The one public door of a private API: who calls is established here, what is stored is established behind.
//!
//! A request meets [`caller`] first, whatever its path: without a valid token it is refused with 401, and no handler runs.
//! Then [`routes`] makes a call of
//! the contract of it, which [`orders`] sends over the service binding.
//!
//! Promises:
//! - No handler runs and no body is read before the token is verified, and no route is without that: the check is a layer
//!   around the whole router, unknown paths included.
//! - A token is believed only if the team's own keys say so, as [`keys`] last saw them; if they cannot be had, nobody is
//!   let in (503).

mod caller;
mod config;
mod error;
mod keys;
mod orders;
mod refresh;
mod routes;
mod web_crypto;

use edge_http::{App, Request, Response};
use worker::{Context, Env, Result, event};

static APP: App = App::new(routes::router);

#[event(fetch)]
async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
    APP.serve(req, env, ctx).await
}
