//! IPFIX: templates, options, withdrawals, data of variable length.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::ipfix(data));
