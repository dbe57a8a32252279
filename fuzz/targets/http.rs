//! Bodies of the HTTP intake: packed, NDJSON, bulk, OTLP.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::http(data));
