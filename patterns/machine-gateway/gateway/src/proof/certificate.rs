use wasm_bindgen::prelude::*;
use worker::web_sys;

use crate::domain::certificate::ClientCertificate;

#[wasm_bindgen]
extern "C" {
    type Incoming;
    #[wasm_bindgen(method, getter)]
    fn cf(this: &Incoming) -> Option<Cf>;

    type Cf;
    #[wasm_bindgen(method, getter, js_name = tlsClientAuth)]
    fn tls_client_auth(this: &Cf) -> Option<TlsClientAuth>;

    /// `worker` has no `certRevoked`.
    type TlsClientAuth;
    #[wasm_bindgen(method, getter, js_name = certPresented)]
    fn presented(this: &TlsClientAuth) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = certVerified)]
    fn verified(this: &TlsClientAuth) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = certRevoked)]
    fn revoked(this: &TlsClientAuth) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = certFingerprintSHA256)]
    fn fingerprint(this: &TlsClientAuth) -> JsValue;
}

/// The certificate that the client presented to the edge, if it did.
pub fn presented(raw: &web_sys::Request) -> Option<ClientCertificate> {
    let tls = raw.unchecked_ref::<Incoming>().cf()?.tls_client_auth()?;
    (tls.presented().as_string()? == "1").then(|| ClientCertificate {
        verified: tls.verified().as_string(),
        revoked: tls.revoked().as_string(),
        fingerprint: tls.fingerprint().as_string(),
    })
}
