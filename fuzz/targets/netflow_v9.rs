//! NetFlow v9: templates, options, data.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::netflow_v9(data));
