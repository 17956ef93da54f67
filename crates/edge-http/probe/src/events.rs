//! Queue, schedule and RPC.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::http::StatusCode;
use edge_http::{Entrypoint, Trace, fault};
use wasm_bindgen::prelude::*;
use worker::{
    Context, Delay, Env, MessageBatch, MessageExt, Result, ScheduleContext, ScheduledEvent, console_log, event,
};

use crate::failure::fail;

#[event(queue)]
async fn queue(batch: MessageBatch<String>, env: Env, _ctx: Context) -> Result<()> {
    for message in batch.raw_iter() {
        let text = message.body().as_string().unwrap_or_default();
        if let Some(kind) = text.strip_prefix("fail-") {
            fail(kind)?;
        }
        if text.starts_with("fault") {
            fault(&env, "queue").await?;
        }
        console_log!("acknowledged {text}");
        message.ack();
    }
    Ok(())
}

#[event(scheduled)]
#[expect(clippy::panic, reason = "a handler without a Result has no other way to fail")]
async fn scheduled(event: ScheduledEvent, _env: Env, _ctx: ScheduleContext) {
    match event.cron().split_once('-') {
        Some(("fail", kind)) if fail(kind).is_err() => panic!("an ordinary error"),
        _ if event.cron() == "slow" => Delay::from(Duration::from_millis(600)).await,
        _ => {}
    }
}

#[wasm_bindgen(this)]
pub async fn shout(this: Entrypoint, text: String) -> Result<String, JsValue> {
    let bound = this.env().kv("NOTES").is_ok();
    Trace::continued("", "").log("rpc", StatusCode::OK);
    Ok(format!("{} {bound}", text.to_uppercase()))
}

#[wasm_bindgen]
pub async fn attempt(kind: String) -> Result<String, JsValue> {
    if kind == "slow" {
        AssertUnwindSafe(Delay::from(Duration::from_millis(600))).await;
    }
    fail(&kind).map_err(JsValue::from)?;
    Ok(format!("{kind} went well"))
}

#[wasm_bindgen(js_name = attemptSync)]
pub fn attempt_sync(kind: &str) -> Result<String, JsValue> {
    fail(kind).map_err(JsValue::from)?;
    Ok("went well".into())
}

/// Exported for JavaScript inside this Worker, and not listed in `entry.mjs`: no other Worker may reach it.
#[wasm_bindgen]
pub fn secret() -> String {
    "for the house only".into()
}
