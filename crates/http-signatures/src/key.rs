use crate::Invalid;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// What a signature is checked with. Its algorithm is part of the key and never taken from a message (RFC 9421 section
/// 7.3.6).
#[derive(Clone, Debug)]
pub enum Key {
    /// `hmac-sha256` (RFC 9421 section 3.3.3).
    HmacSha256(Secret),
    /// `ed25519` (RFC 9421 section 3.3.6).
    Ed25519(PublicKey),
}

impl Key {
    /// The name of the key's algorithm in the HTTP Signature Algorithms registry, which `alg` has to be if present.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::HmacSha256(_) => "hmac-sha256",
            Self::Ed25519(_) => "ed25519",
        }
    }
}

/// A secret that two parties share, hashed as far as every signature needs it. Not shown by `Debug`.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl Secret {
    /// Bytes of the shortest secret: what has less than 128 bits can be guessed with one signature at hand.
    pub const MIN: usize = 16;
    /// Bytes of the longest secret; what is longer than 64 is hashed first anyway (RFC 2104 section 2).
    pub const MAX: usize = 1024;

    /// Takes the bytes themselves, not their base64.
    ///
    /// # Errors
    /// [`Invalid`] when there are too few or too many.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        Hmac::new_from_slice(bytes)
            .ok()
            .filter(|_| (Self::MIN..=Self::MAX).contains(&bytes.len()))
            .map(Self)
            .ok_or(Invalid("a secret has 16 to 1024 bytes"))
    }

    /// The HMAC-SHA256 of `base`.
    pub fn sign(&self, base: &[u8]) -> Vec<u8> {
        self.0.clone().chain_update(base).finalize().into_bytes().to_vec()
    }

    /// Whether `signature` is the HMAC-SHA256 of `base`, in a time that does not depend on where it differs.
    pub fn verify(&self, base: &[u8], signature: &[u8]) -> bool {
        self.0.clone().chain_update(base).verify_slice(signature).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The 32 bytes of an Ed25519 public key (RFC 8032 section 5.1.5). Whether they are a point of the curve is only seen
/// when a signature is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// `SubjectPublicKeyInfo` of Ed25519 (RFC 8410 section 4) up to the key: the DER has this one form.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl PublicKey {
    /// Reads what `openssl pkey -pubout` writes: `-----BEGIN PUBLIC KEY-----`, one line of base64, `-----END PUBLIC
    /// KEY-----` (RFC 7468 sections 3 and 13), with nothing but white space around it.
    ///
    /// # Errors
    /// [`Invalid`] for anything else, a key of another algorithm for one.
    pub fn from_pem(pem: &str) -> Result<Self, Invalid> {
        let lines: Vec<&str> = pem.trim_ascii().lines().take(4).collect();
        let ["-----BEGIN PUBLIC KEY-----", base64, "-----END PUBLIC KEY-----"] = *lines else {
            return Err(Invalid("a public key is one PEM block BEGIN PUBLIC KEY with one line of base64"));
        };
        STANDARD
            .decode(base64)
            .ok()
            .and_then(|der| der.strip_prefix(&SPKI)?.try_into().ok())
            .map(Self)
            .ok_or(Invalid("the public key is not an Ed25519 key"))
    }

    /// Writes what [`from_pem`](Self::from_pem) reads.
    pub fn to_pem(&self) -> String {
        let base64 = STANDARD.encode([&SPKI[..], &self.0].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n")
    }

    /// The bytes, as Web Crypto imports them in format `raw`.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Says whether a signature is a key's. A Worker asks Web Crypto for Ed25519, which costs its wasm nothing; elsewhere
/// there is `RustCrypto`.
pub trait Verify {
    /// Why the check could not be made.
    type Error;

    /// Whether `signature` is `key`'s over `base`. Anything malformed is no signature, not an error.
    fn verify(&self, key: &Key, base: &[u8], signature: &[u8]) -> impl Future<Output = Result<bool, Self::Error>>;
}

/// [`Verify`] in Rust.
#[cfg(feature = "rust-crypto")]
#[derive(Clone, Copy, Debug)]
pub struct RustCrypto;

#[cfg(feature = "rust-crypto")]
impl Verify for RustCrypto {
    type Error = std::convert::Infallible;

    async fn verify(&self, key: &Key, base: &[u8], signature: &[u8]) -> Result<bool, Self::Error> {
        Ok(match key {
            Key::HmacSha256(secret) => secret.verify(base, signature),
            Key::Ed25519(PublicKey(key)) => ed25519(key, base, signature).is_some(),
        })
    }
}

/// Strict, as RFC 8032 section 5.1.7 leaves open: a key of small order, for which one signature fits every text, fails.
#[cfg(feature = "rust-crypto")]
fn ed25519(key: &[u8; 32], base: &[u8], signature: &[u8]) -> Option<()> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key).ok()?;
    key.verify_strict(base, &ed25519_dalek::Signature::from_slice(signature).ok()?).ok()
}
