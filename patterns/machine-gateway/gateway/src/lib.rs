//! The one public door of a private API: who calls is established here, what is stored is established behind.
//!
//! A request meets [`admission`] first, whatever its path: it is asked for one of four proofs ([`proof`]), looked up in the
//! [`policy`], and let pass or refused. Then [`routes`] has it done by an internal Worker, [`orders`] or [`reports`], in the
//! name of the principal that was found.
//!
//! Promises:
//! - No handler runs and no body is read before a proof has held, and no route is without a scope: a route cannot be added
//!   without one, and admission is a layer around the whole router, unknown paths included.
//! - A caller who offers no proof costs one refusal: nothing is asked, read or stored.
//! - Whoever cannot be checked is not let in: without policy, keys, replay protection or rate limit the answer is 503.
//! - A signed request, or a writing token, is let in once.

mod admission;
mod config;
mod domain;
mod error;
mod fetched;
mod keys;
mod limiter;
mod nonces;
mod nonces_object;
mod orders;
mod policy;
mod proof;
mod reports;
mod routes;
mod web_crypto;

use edge_http::{App, Request, Response};
use worker::{Context, Env, Result, event};

static APP: App = App::new(routes::router);

#[event(fetch)]
async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
    APP.serve(req, env, ctx).await
}
