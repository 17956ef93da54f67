use std::sync::OnceLock;
use std::task::{Context as TaskContext, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request as HttpRequest};
use axum::http::{self, HeaderValue, Method};
use axum::response::{IntoResponse, Response as HttpResponse};
use tower_layer::layer_fn;
use tower_service::Service;
use worker::{Context, Env};

use crate::panic::{Panicked, catch_panic};
use crate::problem::{self, Problem};
use crate::{Invocation, Request, Response, Trace, request, response};

/// The application of one Worker, meant for a `static`: its router, built from the bindings at the first request of a wasm
/// instance and kept.
///
/// Whatever a handler does, its request is answered:
/// - An error of the application's own becomes a [`Problem`] (its type says how), and so does a refusal by axum itself
///   (no such route, another method, a body that is too large or of the wrong shape): one renderer for both.
/// - A panic fails its own request, with a 500. (Built with `panic = "abort"` it ends the instance, see `js/entry.mjs`.)
pub struct App {
    build: fn(&Env) -> worker::Result<Router>,
    render: fn(&Problem) -> HttpResponse,
    router: OnceLock<Result<Router, String>>,
}

impl App {
    /// `build` makes the router, or says which binding is missing or wrong. It is asked once: bindings stay as they are for as long
    /// as the instance lives, and every request then has the same answer, a 500 with this cause in the log.
    pub const fn new(build: fn(&Env) -> worker::Result<Router>) -> Self {
        Self { build, render: Problem::render, router: OnceLock::new() }
    }

    /// Replaces `application/problem+json` where the pattern's standard prescribes another body for errors.
    #[must_use]
    pub const fn errors(mut self, render: fn(&Problem) -> HttpResponse) -> Self {
        self.render = render;
        self
    }

    /// Answers one request.
    ///
    /// # Errors
    /// When the runtime refuses the response; `worker` turns that into a 500.
    pub async fn serve(&self, request: Request, env: Env, ctx: Context) -> worker::Result<Response> {
        let (response, is_head) = match request::into_http(&request, ctx) {
            Ok(request) => {
                let is_head = request.method() == Method::HEAD;
                (self.call(request, &env).await, is_head)
            }
            Err(problem) => (self.finish(&request.trace(), problem.into_response()).await, false),
        };
        response::into_js(response, is_head).await
    }

    /// The same over `worker`'s own `http` types, and with `worker-build`'s own entry if you like. It costs more, and what
    /// `js/entry.mjs` promises of traps does not hold then.
    ///
    /// # Errors
    /// Never; the type is what `#[event(fetch)]` wants.
    pub async fn serve_http(
        &self,
        request: worker::HttpRequest,
        env: Env,
        ctx: Context,
    ) -> worker::Result<http::Response<Body>> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Invocation::new(ctx, None));
        Ok(self.call(request, &env).await)
    }

    async fn call(&self, mut request: HttpRequest, env: &Env) -> HttpResponse {
        let trace = Trace::of(request.headers());
        trace.note("method", request.method().as_str());
        request.extensions_mut().insert(trace.clone());
        let answered = match self.router(env) {
            Ok(mut router) => catch_panic(router.call(request)).await,
            Err(cause) => Ok(Ok(Problem::internal(cause).into_response())),
        };
        let response = match answered {
            // The runtime would refuse it, after the log line has been written.
            Ok(Ok(response)) if !response::can_leave(&response) => {
                Problem::internal(format_args!("status {} is no answer", response.status().as_u16())).into_response()
            }
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(Panicked) => Problem::internal("a handler panicked, see the line before").into_response(),
        };
        self.finish(&trace, response).await
    }

    /// The standard form, the request's name, and its line in the log.
    async fn finish(&self, trace: &Trace, response: HttpResponse) -> HttpResponse {
        let (mut response, cause) = problem::in_standard_form(response, self.render).await;
        if let Ok(id) = HeaderValue::from_str(trace.request_id()) {
            response.headers_mut().insert("x-request-id", id);
        }
        if let Some(cause) = cause {
            trace.note("cause", cause);
        }
        trace.log("request", response.status());
        response
    }

    pub(crate) fn router(&self, env: &Env) -> Result<Router, String> {
        // with_state lets axum settle its routes once instead of at every request.
        let settled = |router: Router| router.layer(layer_fn(NotesRoute)).with_state(());
        let build = || (self.build)(env).map(settled).map_err(|cause| cause.to_string());
        self.router.get_or_init(build).clone()
    }
}

/// Around each route: tells the log which one it was. Not the path, which may hold what must not be logged, and has no end of
/// values. (A service and not `middleware::from_fn`, which would box one more future a request.)
#[derive(Clone)]
struct NotesRoute<S>(S);

impl<S: Service<HttpRequest>> Service<HttpRequest> for NotesRoute<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: HttpRequest) -> S::Future {
        let extensions = request.extensions();
        if let (Some(trace), Some(route)) = (extensions.get::<Trace>(), extensions.get::<MatchedPath>()) {
            trace.note("route", route.as_str());
        }
        self.0.call(request)
    }
}
