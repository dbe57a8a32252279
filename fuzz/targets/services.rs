//! Name servers, VPN, leases, databases.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::services(data));
