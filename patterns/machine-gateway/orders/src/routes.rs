use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use contract::{Identity, NewOrder, Order, OrderId, Page};
use edge_http::{JsonObject, fault};
use serde::Deserialize;
use wasm_bindgen::prelude::*;
use worker::Env;

use crate::config::Bindings;
use crate::cursor::Cursor;
use crate::error::Error;
use crate::{identity, store};

/// The longest body, in bytes: an order with the longest note fits several times.
const MAX_BODY: usize = 16 << 10;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    fn random_uuid() -> String;
}

pub fn router(env: &Env) -> worker::Result<Router> {
    Ok(Router::new()
        .route("/v1/orders", post(place).get(list))
        .route("/v1/orders/{id}", get(find))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        // Outermost: around every route, and around there being none.
        .layer(middleware::from_fn(identity::understand))
        .with_state(Arc::new(Bindings::of(env)?)))
}

/// `POST /v1/orders`: 201 with `Location`.
#[worker::send]
async fn place(
    State(bindings): State<Arc<Bindings>>,
    Extension(identity): Extension<Identity>,
    Json(JsonObject(order)): Json<JsonObject<NewOrder>>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Order>), Error> {
    fault(&bindings.env, "orders").await.map_err(Error::Write)?; // tests only: before the one statement, never after
    let order = store::insert(&bindings.db, &random_uuid(), &identity.principal, &order).await.map_err(Error::Write)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/v1/orders/{}", order.id))], Json(order)))
}

/// `GET /v1/orders/{id}`: 200; 404 when the caller has no such order.
#[worker::send]
async fn find(
    State(bindings): State<Arc<Bindings>>,
    Extension(identity): Extension<Identity>,
    Path(id): Path<OrderId>,
) -> Result<Json<Order>, Error> {
    let order = store::find(&bindings.db, &identity.principal, &id).await.map_err(Error::Read)?;
    order.map(Json).ok_or(Error::NoSuchOrder)
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor>,
}

/// How many orders a page is to hold: 1 to [`Page::MAX`].
#[derive(Deserialize)]
#[serde(try_from = "u32")]
struct Limit(u32);

impl Default for Limit {
    fn default() -> Self {
        Self(Page::MAX)
    }
}

impl TryFrom<u32> for Limit {
    type Error = &'static str;

    fn try_from(orders: u32) -> Result<Self, &'static str> {
        if (1..=Page::MAX).contains(&orders) { Ok(Self(orders)) } else { Err("a limit is 1 to 100") }
    }
}

/// `GET /v1/orders?limit=…&cursor=…`: 200 with a page of the caller's orders, newest first.
#[worker::send]
async fn list(
    State(bindings): State<Arc<Bindings>>,
    Extension(identity): Extension<Identity>,
    Query(Wanted { limit: Limit(limit), cursor }): Query<Wanted>,
) -> Result<Json<Page>, Error> {
    let page = store::page(&bindings.db, &identity.principal, limit, cursor.as_ref()).await;
    page.map(Json).map_err(Error::Read)
}
