//! Holds the orders. Reachable over a service binding only; it believes what the gateway says of the caller.
//!
//! A call enters [`rpc`], becomes an operation of the contract, and one call into [`store`] does the work.

mod rpc;
mod store;
