//! Headers of every kind, and one header within another.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::header(data));
