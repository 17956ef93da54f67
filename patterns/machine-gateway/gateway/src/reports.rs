use std::time::Duration;

use contract::{Identity, Message, NewReport, Report, ReportAnswer, ReportId};
use edge_http::within;
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use worker::send::SendWrapper;
use worker::wasm_bindgen_futures::JsFuture;

use crate::error::Error;

#[wasm_bindgen]
extern "C" {
    /// The entrypoint `Reports` of the internal Worker: both methods take and answer JSON texts of the contract.
    pub type ReportsRpc;

    #[wasm_bindgen(method, catch)]
    fn create(this: &ReportsRpc, identity: &str, request: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn find(this: &ReportsRpc, identity: &str, id: &str) -> Result<Promise, JsValue>;
}

/// How long an answer is waited for: a report asks for the orders first, page by page, for ten seconds at most.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The internal Worker `reports`, over RPC.
pub struct Reports(pub SendWrapper<ReportsRpc>);

impl Reports {
    pub async fn create(&self, identity: &Identity, about: &NewReport) -> Result<Report, Error> {
        let call = || Ok(self.0.create(&identity.write()?, &about.write()?)?);
        answered(call).await.map_err(Error::OutcomeUnknown)?.report()
    }

    pub async fn find(&self, identity: &Identity, id: &ReportId) -> Result<Report, Error> {
        let call = || Ok(self.0.find(&identity.write()?, id.as_str())?);
        answered(call).await.map_err(Error::Unavailable)?.report()
    }
}

async fn answered(call: impl FnOnce() -> worker::Result<Promise>) -> worker::Result<Answered> {
    let answer = within(TIMEOUT, async { Ok(JsFuture::from(call()?).await?) }).await?;
    let answer = answer.as_string().as_deref().and_then(ReportAnswer::read);
    answer.map(Answered).ok_or_else(|| "an answer that is not understood".into())
}

struct Answered(ReportAnswer);

impl Answered {
    fn report(self) -> Result<Report, Error> {
        match self.0 {
            ReportAnswer::Report(report) => Ok(report),
            ReportAnswer::NoSuchReport => Err(Error::NoSuchReport),
            ReportAnswer::NotUnderstood => Err(Error::NotUnderstood),
        }
    }
}
