use std::panic::AssertUnwindSafe;

use contract::{Identity, Message, NewReport, Report, ReportAnswer, ReportId};
use edge_http::{Entrypoint, StatusCode, Trace, fault};
use wasm_bindgen::prelude::*;
use worker::{Env, Error, Result};

use crate::orders::{self, Gathered};
use crate::store;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    fn random_uuid() -> String;
}

/// `create(identity, request)` of the entrypoint `Reports`: an [`Identity`] and a [`NewReport`] in, a [`ReportAnswer`] out,
/// all as JSON. An error means that it is not known whether a report was stored; another try stores another one.
///
/// Both are a `JsValue`, since wasm-bindgen would trap on anything but a string where a `String` is declared, and a later
/// gateway that sends something else is to be told that it is not understood.
#[wasm_bindgen(this)]
pub async fn create(this: Entrypoint, identity: JsValue, request: JsValue) -> Result<String, JsValue> {
    let (Some(identity), Some(about)) = (read::<Identity>(&identity), read(&request)) else { return not_understood() };
    let trace = begin("create", &identity);
    // wasm-bindgen wants to be told that a panic may unwind through this: it ends this call alone, and what it leaves half
    // changed is this call's own.
    end(&trace, AssertUnwindSafe(make(&this.env(), &trace, &identity, about)).await)
}

/// `find(identity, id)`: an [`Identity`] as JSON and a [`ReportId`] in, a [`ReportAnswer`] as JSON out.
#[wasm_bindgen(this)]
pub async fn find(this: Entrypoint, identity: JsValue, id: JsValue) -> Result<String, JsValue> {
    let id = id.as_string().and_then(|id| ReportId::try_from(id).ok());
    let (Some(identity), Some(id)) = (read::<Identity>(&identity), id) else { return not_understood() };
    let trace = begin("find", &identity);
    end(&trace, AssertUnwindSafe(look_up(&this.env(), &identity, &id)).await)
}

async fn make(env: &Env, trace: &Trace, identity: &Identity, about: NewReport) -> Result<ReportAnswer> {
    let (tally, truncated) = match orders::gather(&env.service("ORDERS")?, trace, identity, &about).await? {
        Gathered::Tally { tally, truncated } => (tally, truncated),
        Gathered::NotUnderstood => return Ok(ReportAnswer::NotUnderstood),
    };
    let report = Report {
        id: ReportId::try_from(random_uuid()).map_err(Error::from)?,
        created_at: js_sys::Date::new_0().to_iso_string().into(),
        about,
        orders: tally.orders,
        pieces: tally.pieces,
        skus: tally.into_skus(),
        truncated,
    };
    fault(env, "reports").await?; // tests only: before the one write, never after
    store::put(&env.bucket("REPORTS")?, &identity.principal, &report).await?;
    Ok(ReportAnswer::Report(report))
}

async fn look_up(env: &Env, identity: &Identity, id: &ReportId) -> Result<ReportAnswer> {
    let report = store::get(&env.bucket("REPORTS")?, &identity.principal, id).await?;
    Ok(report.map_or(ReportAnswer::NoSuchReport, ReportAnswer::Report))
}

fn read<T: Message>(message: &JsValue) -> Option<T> {
    message.as_string().as_deref().and_then(T::read)
}

fn not_understood() -> Result<String, JsValue> {
    Trace::continued("", "").log("rpc", StatusCode::NOT_IMPLEMENTED);
    to_json(&ReportAnswer::NotUnderstood)
}

fn begin(method: &str, identity: &Identity) -> Trace {
    let trace = Trace::continued(&identity.traceparent, &identity.request_id);
    trace.note("method", method);
    trace.note("principal", identity.principal.as_str());
    trace.note("credential", identity.credential.as_str());
    trace.note("proof", identity.proof.as_str());
    trace
}

fn end(trace: &Trace, answer: Result<ReportAnswer>) -> Result<String, JsValue> {
    let status = match &answer {
        Ok(ReportAnswer::Report(_)) => StatusCode::OK,
        Ok(ReportAnswer::NoSuchReport) => StatusCode::NOT_FOUND,
        Ok(ReportAnswer::NotUnderstood) => StatusCode::NOT_IMPLEMENTED,
        Err(cause) => {
            trace.note("cause", cause.to_string());
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    trace.log("rpc", status);
    to_json(&answer?)
}

fn to_json(answer: &ReportAnswer) -> Result<String, JsValue> {
    answer.write().map_err(|e| JsValue::from(e.to_string()))
}
