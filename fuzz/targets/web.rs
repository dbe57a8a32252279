//! Web servers, proxies and what guards them.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::web(data));
