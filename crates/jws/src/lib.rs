//! Reads a JSON Web Token in the compact serialisation of JWS (RFC 7515 section 7.1) as RFC 8725 asks: strictly, and
//! without cryptography. The caller parses a [`Token`], finds the key by its `kid`, has the signature checked over
//! [`Token::signing_input`], and only then reads the [`Claims`] and what else it wants of the payload.
//!
//! The algorithm is the caller's, never the token's: it comes from where the key comes from.
//! Names no platform, clock or random source; panics on no input; follows no URL that a token carries.

mod claims;
mod refused;
mod token;

pub use claims::{Claims, LEEWAY};
pub use refused::Refused;
pub use token::{MAX_TOKEN, Token, object};
