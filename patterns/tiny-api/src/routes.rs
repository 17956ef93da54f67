use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use edge_http::JsonObject;
use worker::Env;

use crate::config::Bindings;
use crate::domain::{Name, Plan, SignUp};
use crate::error::Error;
use crate::store;

pub fn router(env: &Env) -> worker::Result<Router> {
    Ok(Router::new()
        .route("/plans/{name}", get(plan))
        .route("/signups", post(sign_up))
        .with_state(Arc::new(Bindings::of(env)?)))
}

/// `GET /plans/{name}`: 200; 404 when there is no such plan.
#[worker::send]
async fn plan(State(bindings): State<Arc<Bindings>>, Path(name): Path<Name>) -> Result<Json<Plan>, Error> {
    let plan = store::plan(&bindings.plans, &name).await?;
    plan.map(Json).ok_or(Error::NoSuchPlan)
}

/// `POST /signups`: 201, again and again for the same; 409 when the team has another plan; 404 when there is no such plan.
#[worker::send]
async fn sign_up(
    State(bindings): State<Arc<Bindings>>,
    Json(JsonObject(signup)): Json<JsonObject<SignUp>>,
) -> Result<(StatusCode, Json<SignUp>), Error> {
    store::plan(&bindings.plans, &signup.plan).await?.ok_or(Error::NoSuchPlan)?;
    store::sign_up(&bindings.db, &signup).await?;
    Ok((StatusCode::CREATED, Json(signup)))
}
