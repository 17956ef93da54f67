use std::panic::AssertUnwindSafe;

use contract::{Answer, Call, Operation};
use edge_http::{Entrypoint, StatusCode, Trace, fault};
use wasm_bindgen::prelude::*;
use worker::{Env, Result};

use crate::store;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    fn random_uuid() -> String;
}

/// The one method of the entrypoint `Orders`: a [`Call`] in, an [`Answer`] out, both as JSON. An error means that it is not
/// known whether the call took effect.
///
/// `message` is a `JsValue`, since wasm-bindgen would trap on anything but a string where a `String` is declared, and a later
/// gateway that sends something else is to be told that it is not understood.
#[wasm_bindgen(this)]
pub async fn call(this: Entrypoint, message: JsValue) -> Result<String, JsValue> {
    let Some(call) = message.as_string().as_deref().and_then(Call::read) else {
        Trace::continued("", "").log("rpc", StatusCode::NOT_IMPLEMENTED);
        return to_json(&Answer::NotUnderstood);
    };
    let trace = Trace::continued(&call.traceparent, &call.request_id);
    trace.note("operation", call.operation.name());
    trace.note("caller", &*call.caller);

    // wasm-bindgen wants to be told that a panic may unwind through this: it ends this call alone, and what it leaves half
    // changed is this call's own.
    let answer = AssertUnwindSafe(perform(&this.env(), call)).await;

    trace.log("rpc", if answer.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE });
    to_json(&answer?)
}

async fn perform(env: &Env, call: Call) -> Result<Answer> {
    let db = env.d1("DB")?;
    fault(env, "orders").await?; // tests only: before the one statement that counts, never after
    Ok(match call.operation {
        Operation::Place(order) => Answer::Order(store::insert(&db, &random_uuid(), &call.caller, &order).await?),
        Operation::Find(id) => store::find(&db, &call.caller, &id).await?.map_or(Answer::NoSuchOrder, Answer::Order),
        Operation::Latest => Answer::Orders(store::latest(&db, &call.caller).await?),
    })
}

fn to_json(answer: &Answer) -> Result<String, JsValue> {
    answer.write().map_err(|e| JsValue::from(e.to_string()))
}
