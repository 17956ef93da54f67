//! Six routes over `edge-http`.

mod routes;

use edge_http::{App, Request, Response};
use worker::{Context, Env, Result, event};

static APP: App = App::new(|_| Ok(routes::router()));

#[event(fetch)]
async fn fetch(req: Request, env: Env, ctx: Context) -> Result<Response> {
    APP.serve(req, env, ctx).await
}
