//! The same six routes the way that `worker` documents for axum: its `http` types and its own entry, with a request id and a
//! log line in a middleware.

#[path = "../../ours/src/routes.rs"]
mod routes;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Response};
use axum::middleware::{self, Next};
use tower_service::Service;
use worker::{Context, Env, HttpRequest, Result, console_log, event, js_sys};

#[event(fetch)]
async fn fetch(req: HttpRequest, _env: Env, _ctx: Context) -> Result<Response<Body>> {
    Ok(routes::router().layer(middleware::from_fn(log)).call(req).await?)
}

async fn log(request: Request, next: Next) -> Response<Body> {
    let id = format!("{:016x}", (js_sys::Math::random() * 1e18).to_bits());
    let method = request.method().as_str().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let mut response = next.run(request).await;
    let line = serde_json::json!({ "level": "info", "event": "request", "method": method, "route": route,
        "status": response.status().as_u16(), "request_id": id });
    console_log!("{line}");
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}
