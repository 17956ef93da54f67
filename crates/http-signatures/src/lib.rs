//! Verifies signed HTTP requests: HTTP Message Signatures (RFC 9421) with Digest Fields (RFC 9530).
//!
//! [`check`] reads the one signature of a request, demands that it covers what it must and is of now, and builds the
//! text that was signed. The caller finds the key by its `keyid`; [`Checked::verify`] asks a [`Verify`] (Web Crypto in a
//! Worker, `RustCrypto` elsewhere) and gives [`Verified`], with which the content is checked and the nonce admitted
//! once. [`sign`] is the client's side; [`signature_base`] also serves responses.
//!
//! Names no platform, clock or random source; panics on no input; bounds every input. Structured fields are `sfv`'s.
//!
#![cfg_attr(feature = "rust-crypto", doc = "```")]
#![cfg_attr(not(feature = "rust-crypto"), doc = "```ignore")]
//! use http_signatures::{Failure, Key, Message, Policy, Request, RustCrypto, Secret, SignatureInput};
//! use std::time::Duration;
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = Secret::parse(b"shared by the two of us and nobody else")?;
//!
//! // The client.
//! let input = SignatureInput::parse(r#"("@method" "@authority" "@target-uri");created=1618884473;keyid="k1";nonce="n-1""#)?;
//! let mut request = Request { method: "GET", target_uri: "https://api.example.com/v1/orders", headers: &[] };
//! let fields = http_signatures::sign(Message::Request(request), "sig1", &input, |base| secret.sign(base))?;
//!
//! // The server.
//! let headers = [("signature-input", fields.0.as_bytes()), ("signature", fields.1.as_bytes())];
//! request.headers = &headers;
//! let policy = Policy { max_age: Duration::from_mins(5), max_skew: Duration::from_mins(1) };
//! let checked = http_signatures::check(request, policy, Duration::from_secs(1_618_884_480))?;
//! assert_eq!(checked.keyid(), "k1"); // by which the key is found
//! match checked.verify(&[Key::HmacSha256(secret)], &RustCrypto).await {
//!     Ok(verified) => {
//!         verified.check_content(b"")?;
//!         println!("admit {} once until {:?}", verified.nonce(), verified.remember_until());
//!     }
//!     Err(Failure::Refused(why)) => println!("401: {why}"),
//!     Err(Failure::Unchecked(cause)) => println!("500: {cause}"),
//! }
//! # Ok(()) }
//! ```

mod check;
mod component;
mod digest;
mod error;
mod field;
mod input;
mod key;
mod message;
mod sign;

pub use check::{Checked, MAX_KEYID, MAX_NONCE, Policy, Verified, check};
pub use digest::ContentDigest;
pub use error::{Failure, Invalid, Refused};
pub use field::{Fields, MAX_FIELD};
pub use input::{MAX_BASE, MAX_COMPONENTS, SignatureInput, signature_base};
#[cfg(feature = "rust-crypto")]
pub use key::RustCrypto;
pub use key::{Key, PublicKey, Secret, Verify};
pub use message::{Message, Request, Response};
pub use sign::sign;
