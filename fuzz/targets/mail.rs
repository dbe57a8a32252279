//! Mail servers and what filters for them.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::mail(data));
