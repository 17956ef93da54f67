use std::hint::black_box;

use wasm_bindgen::prelude::*;
use worker::Result;

#[wasm_bindgen(
    inline_js = "export function js_throw() { throw new TypeError('an import that Rust thinks cannot fail'); }"
)]
extern "C" {
    fn js_throw();
}

/// Fails in one of the ways there are; `err` is the ordinary one, anything unknown does not fail.
#[expect(clippy::panic, reason = "what this Worker is for")]
pub fn fail(kind: &str) -> Result<()> {
    fn overflow(n: u64) -> u64 {
        if n == u64::MAX { 0 } else { overflow(n + 1) + black_box(n) }
    }
    match kind {
        "err" => return Err("ordinary error".into()),
        "panic" => panic!("on purpose"),
        #[cfg(target_arch = "wasm32")]
        "unreachable" => core::arch::wasm32::unreachable(),
        "overflow" => drop(black_box(overflow(black_box(0)))),
        "oom" => loop {
            black_box(Vec::<u8>::with_capacity(512 << 20).leak());
        },
        "jsthrow" => js_throw(),
        _ => {}
    }
    Ok(())
}
