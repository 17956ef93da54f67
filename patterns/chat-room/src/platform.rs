//! The clock and chance, which the domain takes as arguments.

use wasm_bindgen::prelude::*;

use crate::domain::moment::Moment;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    pub fn random_uuid() -> String;
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number, not negative")]
pub fn now() -> Moment {
    Moment::from_millis(js_sys::Date::now() as u64)
}
