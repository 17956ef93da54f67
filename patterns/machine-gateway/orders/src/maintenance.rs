use std::panic::AssertUnwindSafe;

use contract::{Message, Purge, PurgeAnswer};
use edge_http::{Entrypoint, StatusCode, Trace, fault};
use wasm_bindgen::prelude::*;
use worker::{Env, Result};

use crate::store;

/// The one method of the entrypoint `Maintenance`: a [`Purge`] in, a [`PurgeAnswer`] out, both as JSON. What is deleted is
/// nobody's in particular, so it takes no identity: whoever is bound to this entrypoint may.
///
/// `message` is a `JsValue`, since wasm-bindgen would trap on anything but a string where a `String` is declared, and a later
/// caller that sends something else is to be told that it is not understood.
#[wasm_bindgen(this)]
pub async fn purge(this: Entrypoint, message: JsValue) -> Result<String, JsValue> {
    let Some(purge) = message.as_string().as_deref().and_then(Purge::read) else {
        Trace::continued("", "").log("rpc", StatusCode::NOT_IMPLEMENTED);
        return to_json(&PurgeAnswer::NotUnderstood);
    };
    let trace = Trace::continued(&purge.traceparent, &purge.request_id);
    trace.note("method", "purge");

    // wasm-bindgen wants to be told that a panic may unwind through this: it ends this call alone, and what it leaves half
    // changed is this call's own.
    let deleted = AssertUnwindSafe(delete(&this.env(), &purge)).await;

    match &deleted {
        Ok(deleted) => trace.note("deleted", deleted.to_string()),
        Err(cause) => trace.note("cause", cause.to_string()),
    }
    trace.log("rpc", if deleted.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE });
    let deleted = deleted?;
    to_json(&PurgeAnswer::Purged { deleted, more: deleted == store::PURGED_AT_ONCE })
}

async fn delete(env: &Env, purge: &Purge) -> Result<u32> {
    fault(env, "purge").await?; // tests only
    store::purge(&env.d1("DB")?, purge.retention_days).await
}

fn to_json(answer: &PurgeAnswer) -> Result<String, JsValue> {
    answer.write().map_err(|e| JsValue::from(e.to_string()))
}
