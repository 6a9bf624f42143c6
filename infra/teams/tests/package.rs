//! `cargo teams-app` as it is run, and what is in the zip that it writes.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use png::{BitDepth, ColorType, Decoder};
use serde_json::Value;
use zip::ZipArchive;

const GOOD: [&str; 10] = [
    "--app-id",
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "--developer",
    "Contoso",
    "--website",
    "https://contoso.com/teams",
    "--privacy",
    "https://contoso.com/privacy",
    "--terms",
    "https://contoso.com/terms",
];

fn run(arguments: &[&str], out: &Path) -> Output {
    let mut command = Command::new(std::env::var_os("CARGO_BIN_EXE_teams-app").unwrap());
    command.args(arguments).arg("--out").arg(out).output().unwrap()
}

/// An empty folder of this test.
fn folder(name: &str) -> PathBuf {
    let folder = checkout::target().join("tmp").join(name);
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn unpacked(package: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(package)).unwrap();
    let count = archive.len();
    let file = |index| {
        let mut file = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        (file.name().unwrap().into_owned(), content)
    };
    (0..count).map(file).collect()
}

/// The pixels of an icon: red, green, blue, and how opaque.
fn pixels(icon: &[u8], side: u32) -> Vec<[u8; 4]> {
    let mut reader = Decoder::new(Cursor::new(icon)).read_info().unwrap();
    let info = reader.info();
    assert_eq!((info.width, info.height), (side, side));
    assert_eq!((info.color_type, info.bit_depth), (ColorType::Rgba, BitDepth::Eight));
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut bytes).unwrap();
    bytes.as_chunks().0.to_vec()
}

#[test]
fn two_runs_write_the_same_package() {
    let folder = folder("teams-app");
    let [first, second] = ["first.zip", "new/folder/second.zip"].map(|name| folder.join(name));
    let wrote = run(&GOOD, &first);
    assert!(wrote.status.success(), "{wrote:?}");
    assert!(run(&GOOD, &second).status.success());
    let package = fs::read(&first).unwrap();
    assert_eq!(package, fs::read(&second).unwrap());

    let files = unpacked(&package);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["manifest.json", "color.png", "outline.png"], "at the root, and nothing else");
    let manifest: Value = serde_json::from_slice(&files[0].1).unwrap();
    assert_eq!(manifest["icons"]["color"], "color.png");
    assert_eq!(manifest["icons"]["outline"], "outline.png");
    let line = format!("{}: app {}, version 1.0.0\n", first.display(), manifest["id"].as_str().unwrap());
    assert_eq!(String::from_utf8(wrote.stdout).unwrap(), line);

    let others = ["--name", "Desk", "--app-version", "2.1.0", "--commands", "help", "--rsc"];
    assert!(run(&[&GOOD[..], &others].concat(), &first).status.success(), "a package is replaced");
    let manifest: Value = serde_json::from_slice(&unpacked(&fs::read(&first).unwrap())[0].1).unwrap();
    assert_eq!((&manifest["name"]["short"], &manifest["version"]), (&"Desk".into(), &"2.1.0".into()));
    assert_eq!(manifest["bots"][0]["commandLists"].as_array().unwrap().len(), 3);
    assert!(manifest["authorization"].is_object());
}

#[test]
fn the_icons_are_what_teams_asks_for() {
    let folder = folder("teams-app-icons");
    let out = folder.join("app.zip");
    assert!(run(&GOOD, &out).status.success());
    let files = unpacked(&fs::read(&out).unwrap());
    let manifest: Value = serde_json::from_slice(&files[0].1).unwrap();

    let color = pixels(&files[1].1, 192);
    assert!(color.iter().all(|[.., opaque]| *opaque == 255), "filled to its edges");
    let accent = manifest["accentColor"].as_str().unwrap();
    let written = |[red, green, blue, _]: [u8; 4]| format!("#{red:02X}{green:02X}{blue:02X}");
    // The sign is within the middle 120 pixels.
    for (index, pixel) in color.iter().enumerate() {
        let is_middle = |at: usize| (36..156).contains(&at);
        if !is_middle(index % 192) || !is_middle(index / 192) {
            assert_eq!(written(*pixel), accent, "pixel {index}");
        }
    }
    assert!(color.iter().filter(|[red, green, blue, _]| [red, green, blue] == [&255; 3]).count() > 2_000);

    let outline = pixels(&files[2].1, 32);
    let seen: Vec<&[u8; 4]> = outline.iter().filter(|[.., opaque]| *opaque > 0).collect();
    assert!(seen.iter().all(|[red, green, blue, _]| [red, green, blue] == [&255; 3]), "white and nothing else");
    assert!((150..600).contains(&seen.len()), "{} of 1024 pixels", seen.len());
    assert_eq!(outline[0], [0; 4], "transparent around the sign");
}

#[test]
fn a_mistake_writes_nothing() {
    let folder = folder("teams-app-mistakes");
    let out = folder.join("app.zip");
    let wrong: [&[&str]; 4] = [&GOOD[2..], &["--app-id", "x"], &["--rsc=yes"], &["--dance"]];
    for arguments in wrong {
        let output = run(arguments, &out);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("--app-id"), "{said}");
        assert!(!folder.exists(), "{arguments:?}");
    }
    fs::create_dir_all(&folder).unwrap();
    let output = run(&GOOD, &folder);
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("Name another file with --out."));
    let help = run(&["--help"], &out);
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("Usage: cargo teams-app "));
    assert!(!out.exists());
}
