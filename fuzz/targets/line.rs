//! Log lines: header and payload decoders.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::line(data));
