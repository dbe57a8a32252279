//! Cuts hostile streams into frames; any split must give the same.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::framing(data));
