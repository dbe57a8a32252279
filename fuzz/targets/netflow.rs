//! NetFlow datagrams and their templates.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::netflow(data));
