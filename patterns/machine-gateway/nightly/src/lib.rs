//! Every night, asks the orders Worker to delete what is past its retention. What it is bound to is all that it can do, and
//! all that it proves itself with.
//!
//! A run that fails, or that does not get through in [`MAX_CALLS`], says so in its line of the log, and the rest is the next
//! night's work: to ask again does no harm.

use std::time::Duration;

use contract::{Message, Purge, PurgeAnswer, Retention};
use edge_http::{StatusCode, Trace, within};
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Env, Error, Result, ScheduleContext, ScheduledEvent, event};

/// How often the orders Worker is asked in one night at most. (One event may enter 32 Workers in all.)
const MAX_CALLS: u32 = 20;
/// How long one answer is waited for; D1 takes less than a second.
const TIMEOUT: Duration = Duration::from_secs(30);

#[wasm_bindgen]
extern "C" {
    /// The entrypoint `Maintenance` of the orders Worker.
    type Maintenance;

    #[wasm_bindgen(method, catch)]
    fn purge(this: &Maintenance, message: &str) -> Result<Promise, JsValue>;
}

#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _ctx: ScheduleContext) {
    let trace = Trace::continued("", "");
    let mut deleted = 0;
    let status = match purge_all(&env, &trace, &mut deleted).await {
        Ok(more) => {
            trace.note("more", more.to_string());
            StatusCode::OK
        }
        Err(cause) => {
            trace.note("cause", cause.to_string());
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    trace.note("deleted", deleted.to_string());
    trace.log("scheduled", status);
}

/// Counts what was deleted, also up to a failure, and says whether there may be more.
async fn purge_all(env: &Env, trace: &Trace, deleted: &mut u32) -> Result<bool> {
    let orders: Maintenance = env.service("ORDERS")?.into_rpc();
    let message = Purge::new(retention(env)?, trace.traceparent(), trace.request_id().to_owned()).write()?;
    for _ in 0..MAX_CALLS {
        let answer = within(TIMEOUT, async { Ok(JsFuture::from(orders.purge(&message)?).await?) }).await?;
        match answer.as_string().as_deref().and_then(PurgeAnswer::read) {
            Some(PurgeAnswer::Purged { deleted: now, more }) => {
                *deleted += now;
                if !more {
                    return Ok(false);
                }
            }
            Some(PurgeAnswer::NotUnderstood) => return Err("the orders Worker does not understand".into()),
            None => return Err("an answer that is not understood".into()),
        }
    }
    Ok(true)
}

fn retention(env: &Env) -> Result<Retention> {
    let days = env.var("RETENTION_DAYS")?.to_string();
    let wrong = |why: &str| Error::RustError(format!("variable RETENTION_DAYS: {why}"));
    Retention::try_from(days.parse::<u32>().map_err(|why| wrong(&why.to_string()))?).map_err(wrong)
}
