//! `cargo alarms` as it is run: on the checkout that it is run in.

use std::fs;
use std::process::{Command, Output};

#[test]
fn a_threshold_that_is_changed_in_the_table_is_found_and_written() {
    let copied = checkout::target().join("tmp").join("copied-for-alarms");
    let _ = fs::remove_dir_all(&copied);
    fs::create_dir_all(copied.join("infra/alarms")).unwrap();
    let places = ["infra/template.yaml", "infra/alarms/alarms.toml"];
    for place in places {
        fs::copy(checkout::root().join(place), copied.join(place)).unwrap();
    }
    let [template, table] = places.map(|place| copied.join(place));
    let run = |arguments: &[&str]| -> Output {
        let mut command = Command::new(std::env::var_os("CARGO_BIN_EXE_alarms").unwrap());
        command.args(arguments).env("CARGO_MANIFEST_DIR", copied.join("infra/alarms")).output().unwrap()
    };
    assert!(run(&["--check"]).status.success());

    let before = fs::read_to_string(&template).unwrap();
    let text = fs::read_to_string(&table).unwrap();
    let changed = text.replace("threshold = 20\n", "threshold = 30\n");
    assert_ne!(changed, text);
    fs::write(&table, changed).unwrap();
    let checked = run(&["--check"]);
    assert!(!checked.status.success());
    assert!(String::from_utf8(checked.stderr).unwrap().contains("Write them anew with `cargo alarms`."));
    assert_eq!(fs::read_to_string(&template).unwrap(), before, "a check writes nothing");

    let wrote = run(&[]);
    assert!(wrote.status.success());
    assert_eq!(String::from_utf8(wrote.stdout).unwrap(), "infra/template.yaml\n");
    let after = fs::read_to_string(&template).unwrap();
    assert_eq!(after, before.replace("Threshold: 20\n", "Threshold: 30\n"));
    assert!(run(&["--check"]).status.success());
    assert!(!run(&["--chek"]).status.success());
}
