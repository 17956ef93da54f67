use wasm_bindgen::prelude::*;
use worker::js_sys::JsString;

#[wasm_bindgen(module = "/js/crossing.js")]
extern "C" {
    /// The bytes of a JavaScript string, for one that may be long: `String::from` takes it in character by character, in
    /// JavaScript, which costs ten times as much. Half of a surrogate pair becomes U+FFFD, as it does there.
    pub fn utf8(text: &JsString) -> Vec<u8>;
}
