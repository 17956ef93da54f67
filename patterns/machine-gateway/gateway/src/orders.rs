use std::pin::pin;
use std::time::Duration;

use contract::{Answer, Call, Operation, Order};
use edge_http::Trace;
use futures_util::future::{Either, select};
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use worker::Delay;
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

/// How long an answer is waited for; D1 takes milliseconds.
const ORDERS_TIMEOUT: Duration = Duration::from_secs(5);

/// The internal Worker, over its service binding.
pub struct Orders(pub SendWrapper<OrdersRpc>);

impl Orders {
    /// An operation that is answered with one order.
    pub async fn one(&self, caller: &Caller, trace: &Trace, operation: Operation) -> Result<Order, Error> {
        match self.call(caller, trace, operation).await? {
            Answer::Order(order) => Ok(order),
            Answer::NoSuchOrder => Err(Error::NoSuchOrder),
            Answer::Orders(_) | Answer::NotUnderstood => {
                Err(Error::OutcomeUnknown("an answer to something else".into()))
            }
        }
    }

    /// The caller's latest orders.
    pub async fn latest(&self, caller: &Caller, trace: &Trace) -> Result<Vec<Order>, Error> {
        match self.call(caller, trace, Operation::Latest).await? {
            Answer::Orders(orders) => Ok(orders),
            Answer::Order(_) | Answer::NoSuchOrder | Answer::NotUnderstood => {
                Err(Error::Orders("an answer to something else".into()))
            }
        }
    }

    async fn call(&self, caller: &Caller, trace: &Trace, operation: Operation) -> Result<Answer, Error> {
        let changes_something = matches!(operation, Operation::Place(_));
        let call = Call::new(caller.0.clone(), trace.traceparent(), trace.request_id().to_owned(), operation);
        match self.send(&call).await {
            Ok(Answer::NotUnderstood) => Err(Error::NotUnderstood),
            Ok(answer) => Ok(answer),
            Err(cause) if changes_something => Err(Error::OutcomeUnknown(cause)),
            Err(cause) => Err(Error::Orders(cause)),
        }
    }

    async fn send(&self, call: &Call) -> worker::Result<Answer> {
        let answer = pin!(JsFuture::from(self.0.0.call(&call.write()?)?));
        let answer = match select(answer, pin!(Delay::from(ORDERS_TIMEOUT))).await {
            Either::Left((answer, _)) => answer?,
            Either::Right(_) => return Err("no answer in time".into()),
        };
        answer.as_string().as_deref().and_then(Answer::read).ok_or_else(|| "an answer that is not understood".into())
    }
}
