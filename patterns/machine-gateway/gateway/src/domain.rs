//! Decisions, without platform, clock or randomness.

pub mod caller;
pub mod certificate;
pub mod limits;
pub mod own_jwt;
pub mod principals;
pub mod proven_tokens;
pub mod refresh;
pub mod scope;
