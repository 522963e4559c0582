#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tdl_fuzz::targets::chat_export::run(data));
