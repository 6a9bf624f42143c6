//! `cargo genesys` as it is run: on the checkout that it is run in.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::fs;
use std::path::Path;
use std::process::Command;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_copied_checkout_checks_its_own_contract() {
    let copied = checkout::target().join("tmp").join("copied-checkout");
    let _ = fs::remove_dir_all(&copied);
    copy(&checkout::root().join("infra"), &copied.join("infra"));
    // What `cargo run` says to a binary that it found built, whichever checkout it was built in.
    let check = || {
        let mut command = Command::new(std::env::var_os("CARGO_BIN_EXE_genesys").unwrap());
        command.arg("--check").env("CARGO_MANIFEST_DIR", copied.join("infra/genesys/generate")).output().unwrap()
    };
    assert!(check().status.success());

    let contract = copied.join("infra/openapi.yaml");
    let text = fs::read_to_string(&contract).unwrap();
    let renamed = text.replace("x-genesys-data-action: Send SMS", "x-genesys-data-action: Text the customer");
    assert_ne!(renamed, text);
    fs::write(&contract, renamed).unwrap();
    let checked = check();
    assert!(!checked.status.success());
    assert!(String::from_utf8(checked.stderr).unwrap().contains("text-the-customer.custom.json"));
}
