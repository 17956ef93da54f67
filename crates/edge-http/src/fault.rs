use wasm_bindgen::prelude::*;
use worker::js_sys::Promise;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Env, Error, Result};

#[wasm_bindgen]
extern "C" {
    type Faults;

    /// What tests armed for this point: "panic", "trap", "fail", or nothing.
    #[wasm_bindgen(method, catch)]
    fn ask(this: &Faults, point: &str) -> Result<Promise, JsValue>;
}

/// The door through which tests provoke a failure at a named point, before a turn that must not be interrupted and never
/// inside it. Tests bind the stand-in `wrangler/local/faults`; in production there is no such binding, and nothing happens.
///
/// # Errors
/// When the tests want this call to fail.
///
/// # Panics
/// When the tests want that.
pub async fn fault(env: &Env, point: &str) -> Result<()> {
    let Ok(binding) = env.service("FAULTS") else { return Ok(()) };
    let faults: Faults = binding.into_rpc();
    provoke(JsFuture::from(faults.ask(point)?).await?.as_string().as_deref(), point)
}

/// [`fault`], where JavaScript has asked already: what was armed happens.
///
/// # Errors
/// When the tests want this call to fail.
///
/// # Panics
/// When the tests want that.
pub fn provoke(armed: Option<&str>, point: &str) -> Result<()> {
    match armed {
        None => Ok(()),
        #[expect(clippy::panic, reason = "that is what was asked for")]
        Some("panic") => panic!("provoked at {point}"),
        #[cfg(target_arch = "wasm32")]
        Some("trap") => core::arch::wasm32::unreachable(),
        Some(_) => Err(Error::RustError(format!("provoked at {point}"))),
    }
}
