//! The fuzzer's program: `FUZZ_TARGET=NAME fuzz-engine [libFuzzer's flags] CORPUS…`.
//!
//! Owns: the way from libFuzzer to one of the targets. Which one is said by a variable, so that one program serves all.

#![no_main]

use std::sync::OnceLock;

use fuzz_targets::Target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        fuzz_targets::target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET names no target: `{name}`"))
    });
    if data.len() <= target.max_bytes {
        (target.run)(data);
    }
});
