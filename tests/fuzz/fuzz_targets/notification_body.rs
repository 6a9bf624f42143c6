//! Whatever anybody posts at the door that is open to Microsoft Graph.

#![no_main]

#[path = "../checks/notification_body.rs"]
mod notification_body;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    notification_body::check(body);
});
