//! Verifies the tokens that Cloudflare Access sends to an origin in `Cf-Access-Jwt-Assertion`.
//!
//! A token is split and its header judged, its key found in the team's published [`KeySet`], its signature checked by a
//! step that the caller passes in (Web Crypto in a Worker, `rust_crypto` elsewhere), and only then are its claims read
//! and compared with the [`Policy`]. What remains is an [`Identity`], and until when it
//! is proven.
//!
//! Names no platform, clock or random source; panics on no input; follows no URL that a token carries.
//! Sources: RFC 7515 (JWS), 7517 (JWK), 7519 (JWT), 8725 (JWT best practices), and Cloudflare's documentation pages
//! "Validate JWTs" and "Application token".
//!
#![cfg_attr(feature = "rust-crypto", doc = "```")]
#![cfg_attr(not(feature = "rust-crypto"), doc = "```ignore")]
//! use access_jwt::{Audience, Failure, Identity, KeySet, Policy, Refused, TeamDomain, Token, Verified};
//! # async fn example(token: &str, certs: &[u8], now: std::time::Duration) -> Result<(), Box<dyn std::error::Error>> {
//! let team_domain = TeamDomain::parse("https://team.cloudflareaccess.com")?;
//! let keys = KeySet::parse(certs)?; // what GET team_domain.certs_url() answered
//! let policy = Policy { team_domain, audience: Audience::parse("4714c1358e65fe4b408ad6d432a5f878")? };
//!
//! match access_jwt::verify(&Token::parse(token)?, &keys, &policy, now, access_jwt::rust_crypto).await {
//!     Ok(Verified { identity: Identity::Service { client_id }, .. }) => println!("the machine {client_id}"),
//!     Ok(Verified { identity: Identity::Person { email, .. }, .. }) => println!("the person {email}"),
//!     Err(Failure::Refused(Refused::UnknownKey)) => println!("fetch the keys again, at most so often, and retry"),
//!     Err(Failure::Refused(why)) => println!("401: {why}"),
//!     Err(Failure::Unchecked(cause)) => println!("500: {cause}"),
//! }
//! # Ok(()) }
//! ```

mod audience;
mod error;
mod identity;
mod keys;
#[cfg(feature = "rust-crypto")]
mod rust_crypto;
mod team_domain;
mod token;
mod verify;

pub use audience::Audience;
pub use error::{Failure, Invalid, Refused};
pub use identity::Identity;
pub use jws::{LEEWAY, MAX_TOKEN};
pub use keys::{Jwk, KeySet};
#[cfg(feature = "rust-crypto")]
pub use rust_crypto::rust_crypto;
pub use team_domain::TeamDomain;
pub use token::Token;
pub use verify::{Policy, Verified, verify};
