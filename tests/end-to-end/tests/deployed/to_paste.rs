//! The lines that a running sandbox prints, pasted into a shell.

use std::path::Path;
use std::process::{Command, Stdio};

use sandbox::to_paste::{PasteStep, steps};

use super::alone;

/// Runs some steps in one shell, because later lines use what earlier ones set. Gives what each has printed.
fn paste(steps: &[PasteStep]) -> Vec<String> {
    const AFTER: &str = "<<< the end of a step >>>";
    let script: String = steps.iter().map(|step| format!("{step}echo '{AFTER}'\n")).collect();
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).current_dir(checkout::root()).env("NO_PROXY", "127.0.0.1,localhost");
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.split(AFTER).take(steps.len()).map(str::to_owned).collect()
}

#[test]
fn every_line_shows_what_it_says() {
    alone(async |sandbox| {
        let mut steps = steps(sandbox, Path::new("target/sandbox/.env"), Path::new("integration.json"));
        let needing: Vec<_> = steps.iter().filter_map(|step| step.needs).collect();
        assert_eq!(needing, ["cargo", "a browser", "cargo-lambda"]);
        steps.retain(|step| step.needs.is_none());
        assert!(steps.len() > 7, "{}", steps.len());
        for step in &steps {
            let words = [step.what, step.look_for.map_or("", |(words, _)| words)].concat();
            assert!(!words.contains(['\'', '`', '$', '(', ')', '<', '>', '&', '|', ';', '*', '?', '!']), "{words}");
            assert!(words.matches('"').count() % 2 == 0, "{words}");
        }
        for (step, printed) in steps.iter().zip(paste(&steps)) {
            for text in step.look_for.map_or(&[][..], |(_, texts)| texts) {
                assert!(printed.contains(text), "{step}does not print {text}:\n{printed}");
            }
            if step.what.starts_with("Graph throttles") {
                let (_, seconds) = printed.split_once("after ").unwrap();
                let seconds: f64 = seconds.split_whitespace().next().unwrap().parse().unwrap();
                assert!(seconds >= 1.5, "{printed}");
            }
        }
        // Each fault was met by the click after it; one that was not would wait for somebody else's.
        assert!(sandbox.world.faults.all().is_empty(), "{:?}", sandbox.world.faults.all());
    });
}
