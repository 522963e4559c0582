#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tdl_fuzz::targets::session_client::run(data));
