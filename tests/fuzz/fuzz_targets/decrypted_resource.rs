//! Whatever is decrypted, up to where it would go to Genesys Cloud and to the event bus.

#![no_main]

extern crate bridge;

#[path = "../checks/decrypted_resource.rs"]
mod decrypted_resource;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    decrypted_resource::check(input);
});
