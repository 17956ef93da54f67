use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::handler::Handler;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::routing::{MethodFilter, MethodRouter, any};
use axum::{Extension, Json, Router, middleware};
use contract::{Identity, NewReport, Report, ReportId};
use edge_http::{JsonObject, Raw, Trace};
use worker::Env;

use crate::admission;
use crate::config::Bindings;
use crate::domain::scope::Scope;
use crate::error::Error;

/// The longest body, in bytes: an order with the longest note fits several times.
pub const MAX_BODY: usize = 16 << 10;

pub fn router(env: &Env) -> worker::Result<Router> {
    Ok(Routes::default()
        .add(Method::POST, "/v1/orders", Scope::OrdersWrite, orders)
        .add(Method::GET, "/v1/orders", Scope::OrdersRead, orders)
        .add(Method::GET, "/v1/orders/{id}", Scope::OrdersRead, orders)
        .add(Method::POST, "/v1/reports", Scope::ReportsWrite, create_report)
        .add(Method::GET, "/v1/reports/{id}", Scope::ReportsRead, find_report)
        .admitted(Bindings::of(env)?))
}

/// What is behind these routes is the orders Worker's business, refusals included.
#[worker::send]
async fn orders(
    State(bindings): State<Arc<Bindings>>,
    Extension(identity): Extension<Identity>,
    trace: Trace,
    request: Request,
) -> Result<Raw, Error> {
    bindings.orders.forward(&identity, &trace, request).await
}

/// `POST /v1/reports`: 201 with `Location`.
#[worker::send]
async fn create_report(
    State(bindings): State<Arc<Bindings>>,
    Extension(identity): Extension<Identity>,
    Json(JsonObject(about)): Json<JsonObject<NewReport>>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Report>), Error> {
    let report = bindings.reports.create(&identity, &about).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/reports/{}", report.id.as_str()))], Json(report)))
}

/// `GET /v1/reports/{id}`: 200; 404 when the caller has no such report.
#[worker::send]
async fn find_report(
    State(bindings): State<Arc<Bindings>>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<ReportId>,
) -> Result<Json<Report>, Error> {
    bindings.reports.find(&identity, &id).await.map(Json)
}

/// The routes, each with what it takes to use it: there is no other way to add one.
#[derive(Default)]
struct Routes {
    paths: BTreeMap<&'static str, MethodRouter<Arc<Bindings>>>,
    scopes: RouteScopes,
}

/// Method and path of a route, with its scope.
#[derive(Default)]
pub struct RouteScopes(Vec<(Method, &'static str, Scope)>);

impl Routes {
    fn add<H, T>(mut self, method: Method, path: &'static str, scope: Scope, handler: H) -> Self
    where
        H: Handler<T, Arc<Bindings>>,
        T: 'static,
    {
        // A method that axum has no filter for has no route: its requests meet 405, as those of every other method do.
        if let Ok(filter) = MethodFilter::try_from(method.clone()) {
            let path_so_far = self.paths.remove(path).unwrap_or_default();
            self.paths.insert(path, path_so_far.on(filter, handler));
            self.scopes.0.push((method, path, scope));
        }
        self
    }

    /// With [`admission`] around every route, and around there being none.
    fn admitted(self, bindings: Bindings) -> Router {
        let bindings = Arc::new(bindings);
        let scopes = Arc::new(self.scopes);
        let router = self.paths.into_iter().fold(Router::new(), |router, (path, methods)| {
            // Not axum's own, which writes `Allow` around every layer: a 401 would say which paths there are.
            let allow = scopes.allowed(path);
            let not_allowed = any(async || (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allow)]));
            router.route(path, not_allowed.merge(methods))
        });
        let door = admission::Door { bindings: bindings.clone(), scopes };
        router.layer(middleware::from_fn_with_state(Arc::new(door), admission::admit)).with_state(bindings)
    }
}

impl RouteScopes {
    /// What it takes to use the route of this pattern; None when there is no such route.
    pub fn of(&self, method: &Method, path: &str) -> Option<Scope> {
        let method = if method == Method::HEAD { &Method::GET } else { method }; // as axum does
        self.0.iter().find(|(m, p, _)| m == method && *p == path).map(|(_, _, scope)| *scope)
    }

    /// The methods of a path, as `Allow` lists them (RFC 9110, section 10.2.1).
    fn allowed(&self, path: &str) -> String {
        let methods = self.0.iter().filter(|(_, p, _)| *p == path).map(|(method, _, _)| method.as_str());
        methods
            .flat_map(|method| if method == "GET" { vec!["GET", "HEAD"] } else { vec![method] })
            .collect::<Vec<_>>()
            .join(", ")
    }
}
