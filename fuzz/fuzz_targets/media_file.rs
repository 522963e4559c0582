#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tdl_fuzz::targets::media_file::run(data));
