//! The real Velocity engine, in a process of its own.
//!
//! Apache Velocity is Java. Its jars and a Java runtime come with Python packages that are fetched once, so that nobody
//! needs to install Java; `engine.py` puts them together.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use python_packages::{Environment, Trouble};
use serde::Deserialize;
use serde_json::{Value, json};

const PYTHON: Environment<'_> =
    Environment { whose: "Velocity engine", folder: "velocity", requirements: include_str!("../requirements.txt") };

/// A running engine. It ends when this is dropped, or when this process ends in whatever way.
#[derive(Debug)]
pub struct Velocity {
    process: Child,
    // Its standard input is what keeps it alive.
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// What became of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// The references that stand for nothing, and so stand in the text as they do in the template.
    pub unresolved: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    text: String,
    #[serde(default)]
    unresolved: Vec<String>,
    #[serde(default)]
    error: Option<String>,
}

impl Velocity {
    /// Starts the engine, which is fetched first if it is not there; says through `progress` what takes a while.
    ///
    /// # Errors
    /// No Python, no network at the first time, or an engine that does not start.
    pub fn start(progress: impl Fn(&str)) -> Result<Self, Trouble> {
        let interpreter = PYTHON.interpreter(progress)?;
        let failed = |error| Trouble::from("The Velocity engine could not be started", error);
        let log = PYTHON.home().join("engine.log");
        let mut process = Command::new(interpreter)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("engine.py"))
            .arg(PYTHON.home())
            .env_remove("JAVA_TOOL_OPTIONS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Trouble("The Velocity engine has no standard input and output.".into()));
        };
        let engine = Self { process, pipes: Mutex::new((stdin, BufReader::new(stdout))) };
        match engine.render("$esc.hash", &json!({})) {
            Ok(rendered) if rendered.text == "#" => Ok(engine),
            _ => Err(Trouble(format!("The Velocity engine could not be started; see {}.", log.display()))),
        }
    }

    /// Renders a template with these variables. Texts print as they are, objects and arrays as JSON.
    ///
    /// # Errors
    /// What Velocity says of a template that it cannot read, or of a macro that failed.
    pub fn render(&self, template: &str, variables: &Value) -> Result<Rendered, String> {
        let mut line = json!({"template": template, "context": variables}).to_string();
        line.push('\n');
        let mut answer = String::new();
        {
            let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
            let (stdin, stdout) = &mut *pipes;
            stdin
                .write_all(line.as_bytes())
                .and_then(|()| stdin.flush())
                .and_then(|()| stdout.read_line(&mut answer))
                .map_err(|error| format!("The Velocity engine is gone: {error}"))?;
        }
        let answer: Answer =
            serde_json::from_str(&answer).map_err(|error| format!("The Velocity engine is gone: {error}"))?;
        match answer.error {
            None => Ok(Rendered { text: answer.text, unresolved: answer.unresolved }),
            Some(error) => Err(error),
        }
    }
}

impl Drop for Velocity {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
