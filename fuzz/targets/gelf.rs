//! GELF parts and payloads of hostile senders.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::gelf(data));
