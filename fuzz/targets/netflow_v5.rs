//! NetFlow v5.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::netflow_v5(data));
