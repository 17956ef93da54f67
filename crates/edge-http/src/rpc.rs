use wasm_bindgen::prelude::*;
use worker::Env;

#[wasm_bindgen]
extern "C" {
    /// `this` of a function that is called over RPC. Take it by `#[wasm_bindgen(this)]`, and list the function in
    /// `entry.mjs`: what is not listed there nobody can call.
    pub type Entrypoint;

    /// The Worker's bindings.
    #[wasm_bindgen(method, getter)]
    pub fn env(this: &Entrypoint) -> Env;
}
