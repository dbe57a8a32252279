//! Logins, accounts, sudo, the kernel's audit.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wartburg_fuzz::linux(data));
