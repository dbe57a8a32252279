//! sFlow version 5: samples of packets and counters.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::sflow(data));
