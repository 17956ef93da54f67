//! Makes reports of a principal's orders and keeps them in R2. Reachable over a service binding only; it believes what the
//! gateway says of the caller, and passes that on.
//!
//! A call enters [`rpc`]. To make a report, [`orders`] is asked page by page and [`tally`] adds up; [`store`] keeps it.
//!
//! Promise: a report that was answered is stored, under its principal's name, and never changes.

mod orders;
mod rpc;
mod store;
mod tally;
