use std::sync::{Mutex, PoisonError};

use access_jwt::Jwk;
use http_signatures::{Key, Verify};
use js_sys::{JSON, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use worker::send::SendWrapper;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Error, Result};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = importKey)]
    fn import_key(
        format: &str,
        key: &JsValue,
        algorithm: &JsValue,
        extractable: bool,
        usages: &JsValue,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"])]
    fn verify(algorithm: &str, key: &JsValue, signature: &[u8], data: &[u8]) -> Result<Promise, JsValue>;
}

const RS256: &str = "RSASSA-PKCS1-v1_5";
const ED25519: &str = "Ed25519";

/// Signature checks by the runtime's own Web Crypto: native code, where RSA and Ed25519 in wasm would spend much of the free
/// plan's 10 ms and add 150 KB. Imported keys are kept; a `CryptoKey` belongs to no request.
#[derive(Default)]
pub struct WebCrypto {
    /// By `kid`, or by the key itself: as many as the key set has, or as the policy had since this isolate began.
    imported: Mutex<Vec<Imported>>,
}

struct Imported {
    name: Box<[u8]>,
    key: SendWrapper<JsValue>,
}

impl WebCrypto {
    /// Whether `signature` is `key`'s over `input`.
    ///
    /// # Errors
    /// When Web Crypto cannot tell; a signature that is wrong, or no signature at all, is not an error.
    pub async fn verify_rs256(&self, jwk: &Jwk, input: &[u8], signature: &[u8]) -> Result<bool> {
        let import = || {
            let jwk = JSON::parse(&serde_json::to_string(jwk).map_err(Error::from)?)?;
            Ok(import_key(
                "jwk",
                &jwk,
                &JSON::parse(r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#)?,
                false,
                &verify_only()?,
            )?)
        };
        let key = self.key(jwk.kid.as_bytes(), import).await?;
        Ok(JsFuture::from(verify(RS256, &key, signature, input)?).await?.is_truthy())
    }

    async fn verify_ed25519(&self, public_key: &[u8; 32], input: &[u8], signature: &[u8]) -> Result<bool> {
        // The runtime throws where the specification says that such a signature is wrong.
        if signature.len() != 64 {
            return Ok(false);
        }
        let import = || {
            let raw = Uint8Array::from(&public_key[..]).into();
            Ok(import_key("raw", &raw, &ED25519.into(), false, &verify_only()?)?)
        };
        let key = self.key(public_key, import).await?;
        Ok(JsFuture::from(verify(ED25519, &key, signature, input)?).await?.is_truthy())
    }

    async fn key(&self, name: &[u8], import: impl FnOnce() -> Result<Promise>) -> Result<JsValue> {
        let known = |imported: &Vec<Imported>| {
            imported.iter().find(|known| *known.name == *name).map(|known| known.key.0.clone())
        };
        if let Some(key) = known(&self.imported.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(key);
        }
        let key = JsFuture::from(import()?).await?;
        let mut imported = self.imported.lock().unwrap_or_else(PoisonError::into_inner);
        if known(&imported).is_none() {
            imported.push(Imported { name: name.into(), key: SendWrapper(key.clone()) });
        }
        Ok(key)
    }
}

/// Ed25519 by Web Crypto. An HMAC of a signature base takes a few microseconds in wasm, less than the way to Web Crypto and
/// back.
impl Verify for WebCrypto {
    type Error = Error;

    async fn verify(&self, key: &Key, base: &[u8], signature: &[u8]) -> Result<bool> {
        match key {
            Key::HmacSha256(secret) => Ok(secret.verify(base, signature)),
            Key::Ed25519(public_key) => self.verify_ed25519(public_key.as_bytes(), base, signature).await,
        }
    }
}

fn verify_only() -> Result<JsValue> {
    Ok(JSON::parse(r#"["verify"]"#)?)
}
