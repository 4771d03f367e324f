#![no_main]
#![allow(missing_docs, reason = "a program")]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paceline_fuzz::sdp(bytes));
