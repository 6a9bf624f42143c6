//! The real engines, in a process of their own: Apache Velocity for templates, Jayway's JsonPath for translation maps.
//!
//! Both are Java. Their jars and a Java runtime come with Python packages that are fetched once, so that nobody needs to
//! install Java; `engine.py` puts them together.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use python_packages::{Environment, Trouble};
use serde::Deserialize;
use serde_json::{Value, json};

const PYTHON: Environment<'_> =
    Environment { whose: "Velocity engine", folder: "velocity", requirements: include_str!("../requirements.txt") };

/// The error for an answer of another kind than the question.
const UNEXPECTED: &str = "The engine gave an answer that was not asked for.";

/// The running process. It ends when this is dropped, or when this process ends in whatever way.
#[derive(Debug)]
pub struct Engine {
    process: Child,
    // Its standard input is what keeps it alive.
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

/// The result of rendering a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text of the template.
    pub text: String,
    /// The references that stand for nothing, and so stand in the text as they do in the template.
    pub unresolved: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Error {
        error: String,
    },
    Rendered {
        text: String,
        unresolved: Vec<String>,
    },
    /// No value where the path leads nowhere, which is not the same as `null`.
    Found {
        found: Vec<Value>,
    },
}

impl Engine {
    /// Starts the engine, which is fetched first if it is not there; says through `progress` what takes a while.
    ///
    /// # Errors
    /// No Python, no network at the first time, or an engine that does not start.
    pub fn start(progress: impl Fn(&str)) -> Result<Self, Trouble> {
        let interpreter = PYTHON.interpreter(progress)?;
        let failed = |error| Trouble::from("The Velocity engine could not be started", error);
        let log = PYTHON.home().join("engine.log");
        let mut process = Command::new(interpreter)
            .arg(checkout::root().join("tests/data-action-runner/engine.py"))
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
        match self.ask(&json!({"template": template, "context": variables}))? {
            Answer::Rendered { text, unresolved } => Ok(Rendered { text, unresolved }),
            _ => Err(UNEXPECTED.to_owned()),
        }
    }

    /// What a JSONPath leads to in a document: of a definite path the value, which may be null, or `None`; of an
    /// indefinite one an array; of a function its result.
    ///
    /// # Errors
    /// What Jayway's JsonPath says of a path that it cannot read, or of a function that cannot be applied.
    pub fn find(&self, path: &str, document: &Value) -> Result<Option<Value>, String> {
        match self.ask(&json!({"path": path, "document": document.to_string()}))? {
            Answer::Found { found } => Ok(found.into_iter().next()),
            _ => Err(UNEXPECTED.to_owned()),
        }
    }

    /// Sends one request and reads its answer, each a line of JSON.
    fn ask(&self, request: &Value) -> Result<Answer, String> {
        let line = format!("{request}\n");
        let mut answer = String::new();
        {
            let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
            let (stdin, stdout) = &mut *pipes;
            stdin
                .write_all(line.as_bytes())
                .and_then(|()| stdin.flush())
                .and_then(|()| stdout.read_line(&mut answer))
                .map_err(|error| format!("The engine is gone: {error}"))?;
        }
        match serde_json::from_str(&answer).map_err(|error| format!("The engine is gone: {error}"))? {
            Answer::Error { error } => Err(error),
            answer => Ok(answer),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
