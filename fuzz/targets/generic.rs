//! What no decoder knows, and the decoders that are in no other family.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::generic(data));
