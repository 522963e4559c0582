#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tdl_fuzz::targets::plain::run(data));
