//! What crosses between the gateway and the Workers behind it, and between those.
//!
//! Two versions of the Workers always run side by side for a while. So whoever receives something that it does not
//! understand (another version, a member or a kind that it does not know) says so and has done nothing: with 501 and the
//! problem code [`NOT_UNDERSTOOD`] over HTTP, with a `NotUnderstood` over RPC. Deploy the inner Workers first: they must
//! understand what the outer ones say. `tests/data/v1` holds what version 1 says, which stays readable
//! when there is another.

#[cfg(test)]
mod golden;
mod id;
mod identity;
mod maintenance;
mod message;
mod order;
mod report;

pub use id::{OrderId, ReportId};
pub use identity::{CredentialId, Identity, PrincipalId, Proof};
pub use maintenance::{Purge, PurgeAnswer, Retention};
pub use message::Message;
pub use order::{NewOrder, Note, Order, Page, Quantity, Sku};
pub use report::{Date, NewReport, Report, ReportAnswer, ReportedSku};

/// The request header that carries an [`Identity`] inwards, over a service binding. The gateway writes it anew for each
/// request; what a client sends under this name goes nowhere.
pub const IDENTITY: &str = "x-machine-identity";

/// The problem code of an answer whose sender did not understand the question, and did nothing.
pub const NOT_UNDERSTOOD: &str = "not-understood";
