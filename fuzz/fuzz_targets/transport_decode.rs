#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tdl_fuzz::targets::transport_decode::run(data));
