//! What a person reads when the sandbox cannot work here: one sentence with what to do.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

/// Runs `cargo sandbox --once` on free ports from `first` on, with a workshop of its own; gives what it says on the way
/// out.
fn sandbox(name: &str, first: u16, change: impl FnOnce(&mut Command)) -> String {
    let workshop = checkout::target().join("tmp").join(name);
    let _ = std::fs::remove_dir_all(&workshop);
    let mut command = Command::new(std::env::var_os("CARGO_BIN_EXE_sandbox").unwrap());
    command.args(["--once", "--port", &free_port(first).to_string()]).env("CARGO_TARGET_DIR", &workshop);
    change(&mut command);
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let _ = std::fs::remove_dir_all(&workshop);
    String::from_utf8(output.stderr).unwrap().trim().to_owned()
}

/// Each test looks in a range of its own, below the one that the system hands out by itself.
fn free_port(first: u16) -> u16 {
    let is_free = |port: u16| (port..port + 5).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    (first..first + 1000).step_by(5).find(|port| is_free(*port)).unwrap()
}

#[test]
fn a_busy_port() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = sandbox("busy-port", 20_000, |command| {
        command.args(["--port", &port.to_string()]);
    });
    assert!(said.starts_with(&format!("Port {port} is taken by another program.")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn no_python() {
    let said = sandbox("no-python", 21_000, |command| {
        command.env("PATH", "");
    });
    assert!(said.starts_with("Python 3 is needed"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn no_network_at_the_first_time() {
    let said = sandbox("no-network", 22_000, |command| {
        command.env("PIP_CONFIG_FILE", "/dev/null").env_remove("PIP_EXTRA_INDEX_URL").env_remove("PIP_FIND_LINKS");
        command.env("PIP_INDEX_URL", "https://127.0.0.1:9/simple").env("PIP_RETRIES", "0").env("PIP_NO_CACHE_DIR", "1");
    });
    assert!(said.starts_with("The local cloud's Python packages could not be installed."), "{said}");
    assert!(said.contains("network"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
