use edge_http::Trace;
use js_sys::Promise;
use machine_gateway_contract::{Answer, Call, Operation, Order};
use wasm_bindgen::prelude::*;
use worker::send::SendWrapper;
use worker::wasm_bindgen_futures::JsFuture;

use crate::caller::Caller;
use crate::error::Error;

#[wasm_bindgen]
extern "C" {
    /// The entrypoint `Orders` of the internal Worker.
    pub type OrdersRpc;

    #[wasm_bindgen(method, catch)]
    fn call(this: &OrdersRpc, message: &str) -> Result<Promise, JsValue>;
}

/// The internal Worker, over its service binding.
pub struct Orders(pub SendWrapper<OrdersRpc>);

impl Orders {
    /// An operation that is answered with one order.
    pub async fn one(&self, caller: &Caller, trace: &Trace, operation: Operation) -> Result<Order, Error> {
        match self.call(caller, trace, operation).await? {
            Answer::Order { order } => Ok(order),
            Answer::NoSuchOrder => Err(Error::NoSuchOrder),
            Answer::Orders { .. } | Answer::NotUnderstood => Err(Error::NotUnderstood),
        }
    }

    /// The caller's latest orders.
    pub async fn latest(&self, caller: &Caller, trace: &Trace) -> Result<Vec<Order>, Error> {
        match self.call(caller, trace, Operation::Latest).await? {
            Answer::Orders { orders } => Ok(orders),
            Answer::Order { .. } | Answer::NoSuchOrder | Answer::NotUnderstood => Err(Error::NotUnderstood),
        }
    }

    async fn call(&self, caller: &Caller, trace: &Trace, operation: Operation) -> Result<Answer, Error> {
        let call = Call::new(caller.0.clone(), trace.traceparent(), trace.request_id().to_owned(), operation);
        self.send(&call).await.map_err(Error::Orders)
    }

    async fn send(&self, call: &Call) -> worker::Result<Answer> {
        let answer = JsFuture::from(self.0.0.call(&call.write()?)?).await?;
        Ok(answer.as_string().map_or(Answer::NotUnderstood, |answer| Answer::read(&answer)))
    }
}
