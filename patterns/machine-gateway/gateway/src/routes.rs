use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use contract::{NewOrder, Operation, Order, OrderId};
use edge_http::{JsonObject, Trace};
use serde::Serialize;
use worker::Env;

use crate::caller::{self, Caller};
use crate::config::Bindings;
use crate::error::Error;

/// The longest body, in bytes: an order with the longest note fits several times.
const MAX_BODY: usize = 16 << 10;

pub fn router(env: &Env) -> worker::Result<Router> {
    let bindings = Arc::new(Bindings::of(env)?);
    Ok(Router::new()
        .route("/v1/orders", post(place).get(latest))
        .route("/v1/orders/{id}", get(find))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        // Outermost: around every route, and around there being none.
        .layer(middleware::from_fn_with_state(bindings.clone(), caller::authenticate))
        .with_state(bindings))
}

/// `POST /v1/orders`: 201 with `Location`.
#[worker::send]
async fn place(
    State(bindings): State<Arc<Bindings>>,
    Extension(caller): Extension<Caller>,
    trace: Trace,
    Json(JsonObject(order)): Json<JsonObject<NewOrder>>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Order>), Error> {
    let order = bindings.orders.one(&caller, &trace, Operation::Place(order)).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/orders/{}", order.id))], Json(order)))
}

/// `GET /v1/orders/{id}`: 200; 404 when the caller has no such order.
#[worker::send]
async fn find(
    State(bindings): State<Arc<Bindings>>,
    Extension(caller): Extension<Caller>,
    trace: Trace,
    Path(id): Path<OrderId>,
) -> Result<Json<Order>, Error> {
    bindings.orders.one(&caller, &trace, Operation::Find(id)).await.map(Json)
}

#[derive(Serialize)]
struct Latest {
    orders: Vec<Order>,
}

/// `GET /v1/orders`: 200 with the caller's latest orders, newest first.
#[worker::send]
async fn latest(
    State(bindings): State<Arc<Bindings>>,
    Extension(caller): Extension<Caller>,
    trace: Trace,
) -> Result<Json<Latest>, Error> {
    let orders = bindings.orders.latest(&caller, &trace).await?;
    Ok(Json(Latest { orders }))
}
