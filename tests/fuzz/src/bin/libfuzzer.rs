//! libFuzzer around the target that `FUZZ_TARGET` names. Started by `./scripts/fuzz`.

#![no_main]
#![expect(clippy::expect_used, reason = "a panic at the start says what is wrong with the command")]

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = fuzz_targets::TARGETS.iter().find(|(target, _)| *target == name);
    target.expect("FUZZ_TARGET is one of TARGETS").1
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| TARGET(input));
