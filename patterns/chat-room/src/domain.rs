//! What a room is: types, rules, decisions. Plain Rust; time and randomness are arguments.

pub mod ask;
pub mod bucket;
pub mod members;
pub mod moment;
pub mod names;
pub mod protocol;
pub mod quotas;
pub mod room;
pub mod session;
