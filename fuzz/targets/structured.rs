//! JSON and the vendors' key=value forms.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::structured(data));
