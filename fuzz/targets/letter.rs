//! Mails that people send to the CERT.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::letter(data));
