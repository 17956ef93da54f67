//! What crosses from the gateway to the orders Worker and back, as JSON text over one RPC method.
//!
//! Two versions of the Workers always run side by side for a while. So whoever receives something that it does not
//! understand (another version, an unknown operation) says so, with [`Answer::NotUnderstood`], and the caller is asked to
//! try again later. Deploy the orders Worker first: it must understand what the new gateway says.

mod order;

pub use order::{NewOrder, Note, Order, OrderId, Quantity, Sku};

use serde::{Deserialize, Serialize};

/// The version of [`Call`], and with it of the [`Answer`] that it asks for. It changes when a meaning changes; a new
/// operation does not need it.
const VERSION: u8 = 1;

/// One call, on behalf of a machine that the gateway has authenticated.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    v: u8,
    /// Who asks: the client id of an Access service token. An operation sees this caller's orders only.
    pub caller: String,
    /// W3C Trace Context, so that both Workers' log lines belong together.
    pub traceparent: String,
    /// What the request is called in both logs.
    pub request_id: String,
    /// What is to be done.
    pub operation: Operation,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Answered with [`Answer::Order`].
    Place(NewOrder),
    /// Answered with [`Answer::Order`] or [`Answer::NoSuchOrder`].
    Find(OrderId),
    /// The latest, newest first, [`Operation::LATEST`] at most; answered with [`Answer::Orders`].
    Latest,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The order that was placed or found.
    Order(Order),
    /// The latest orders, newest first.
    Orders(Vec<Order>),
    /// The caller has no order of this id.
    NoSuchOrder,
    /// The call is of a version or has an operation that is not known: nothing was done.
    NotUnderstood,
}

impl Operation {
    /// How many orders a list holds at most.
    pub const LATEST: u32 = 100;

    /// Its name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Place(_) => "place",
            Self::Find(_) => "find",
            Self::Latest => "latest",
        }
    }
}

impl Call {
    pub fn new(caller: String, traceparent: String, request_id: String, operation: Operation) -> Self {
        Self { v: VERSION, caller, traceparent, request_id, operation }
    }

    /// None when it is not understood: of another version, or with an operation of a later one.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|call: &Self| call.v == VERSION)
    }

    pub fn write(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

impl Answer {
    /// None when it is not understood; who asked for a change then does not know what became of it.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub fn write(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: Operation) -> Call {
        Call::new("ci.access".into(), "00-…-01".into(), "ray".into(), operation)
    }

    #[test]
    fn a_call_is_read_as_it_was_written() {
        let order = serde_json::from_str(r#"{"sku":"A-1","quantity":2,"note":"today"}"#).unwrap();
        let id = OrderId::try_from("123e4567-e89b-42d3-a456-426614174000".to_owned()).unwrap();
        for operation in [Operation::Place(order), Operation::Find(id), Operation::Latest] {
            let call = call(operation);
            assert_eq!(Call::read(&call.write().unwrap()), Some(call));
        }
    }

    #[test]
    fn a_call_of_another_version_or_with_a_later_operation_is_not_understood() {
        let text = call(Operation::Latest).write().unwrap();
        assert!(Call::read(&text).is_some());
        assert_eq!(Call::read(&text.replace("\"v\":1", "\"v\":2")), None);
        assert_eq!(Call::read(&text.replace("latest", "cancel")), None);
        assert_eq!(Call::read("not JSON"), None);
    }

    #[test]
    fn an_answer_of_a_later_version_is_not_understood() {
        assert_eq!(Answer::read("\"no-such-order\""), Some(Answer::NoSuchOrder));
        assert_eq!(Answer::read(r#"{"queued":7}"#), None);
    }
}
