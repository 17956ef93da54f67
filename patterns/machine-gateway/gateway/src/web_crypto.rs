use std::sync::{Mutex, PoisonError};

use access_jwt::Jwk;
use js_sys::{JSON, Promise};
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

/// RS256 by the runtime's own Web Crypto: native code, where RSA in wasm would spend much of the free plan's 10 ms and add
/// 150 KB. Imported keys are kept; a `CryptoKey` belongs to no request.
#[derive(Default)]
pub struct WebCrypto {
    /// By `kid`, as many as the key set has at most.
    imported: Mutex<Vec<(String, SendWrapper<JsValue>)>>,
}

impl WebCrypto {
    /// Whether `signature` is `key`'s over `input`.
    ///
    /// # Errors
    /// When Web Crypto cannot tell; a signature that is wrong, or no signature at all, is not an error.
    pub async fn verify(&self, key: &Jwk, input: &[u8], signature: &[u8]) -> Result<bool> {
        let key = self.import(key).await?;
        let verified = JsFuture::from(verify("RSASSA-PKCS1-v1_5", &key, signature, input)?).await?;
        Ok(verified.is_truthy())
    }

    async fn import(&self, jwk: &Jwk) -> Result<JsValue> {
        let kid = jwk.common.key_id.as_deref().unwrap_or_default();
        let known = |imported: &Vec<(String, SendWrapper<JsValue>)>| {
            imported.iter().find(|(id, _)| id == kid).map(|(_, key)| key.0.clone())
        };
        if let Some(key) = known(&self.imported.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(key);
        }
        let jwk = JSON::parse(&serde_json::to_string(jwk).map_err(Error::from)?)?;
        let algorithm = JSON::parse(r#"{"name":"RSASSA-PKCS1-v1_5","hash":"SHA-256"}"#)?;
        let usages = JSON::parse(r#"["verify"]"#)?;
        let key = JsFuture::from(import_key("jwk", &jwk, &algorithm, false, &usages)?).await?;
        let mut imported = self.imported.lock().unwrap_or_else(PoisonError::into_inner);
        if known(&imported).is_none() {
            imported.push((kid.to_owned(), SendWrapper(key.clone())));
        }
        Ok(key)
    }
}
