use std::fmt::Write;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

const KEY: &[u8] = b"a key of thirty-two bytes, just so";
static BIG: [u8; 100 << 10] = [b'x'; 100 << 10];

pub fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "Hello, World!" }))
        .route("/items/{id}", get(item))
        .route("/echo", post(echo))
        .route("/headers", get(header))
        .route("/big", get(|| async { Bytes::from_static(&BIG) }))
        .route("/hmac", post(hmac))
}

#[derive(Serialize)]
struct Item {
    id: String,
    name: &'static str,
    price: f64,
    tags: [&'static str; 3],
}

async fn item(Path(id): Path<String>) -> Json<Item> {
    Json(Item { id, name: "A thing", price: 12.5, tags: ["red", "small", "new"] })
}

#[derive(Deserialize, Serialize)]
struct Order {
    customer: String,
    lines: Vec<Line>,
}

#[derive(Deserialize, Serialize)]
struct Line {
    sku: String,
    quantity: u32,
    note: String,
}

/// Parses, checks and answers what came in.
async fn echo(Json(order): Json<Order>) -> Result<Json<Order>, StatusCode> {
    if order.lines.iter().all(|line| line.quantity > 0) {
        Ok(Json(order))
    } else {
        Err(StatusCode::UNPROCESSABLE_ENTITY)
    }
}

async fn header(headers: HeaderMap) -> String {
    headers.get("user-agent").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
}

async fn hmac(body: Bytes) -> Result<String, StatusCode> {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    mac.update(&body);
    Ok(mac.finalize().into_bytes().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}
