//! Windows events, as every agent sends them.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::windows(data));
