//! A private virtual environment with pinned packages, made where it is missing, for a tool that fetches what it needs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use checkout::target;

/// Why a tool cannot work: one sentence with what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl Trouble {
    /// What happened, with its cause.
    pub fn from(what: &str, cause: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {cause}"))
    }
}

/// A virtual environment with certain packages.
#[derive(Debug, Clone, Copy)]
pub struct Environment<'a> {
    /// Whose packages these are, as a sentence names it: `local cloud`.
    pub whose: &'a str,
    /// Its folder under [`checkout::target`].
    pub folder: &'a str,
    /// The pinned packages, in pip's format for requirements, with all that they need.
    pub requirements: &'a str,
}

/// The oldest Python that the packages run on.
const OLDEST: (u32, u32) = (3, 11);

impl Environment<'_> {
    /// Its folder, which also holds what its owner keeps.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        target().join(self.folder)
    }

    /// Its interpreter. The environment is made first if it is not there or not up to date; says so through `progress`,
    /// because the first time takes a while.
    ///
    /// # Errors
    /// No Python, one without `venv`, or no network at the first time.
    pub fn interpreter(&self, progress: impl Fn(&str)) -> Result<PathBuf, Trouble> {
        let (whose, home) = (self.whose, self.home());
        let no_home = |error| Trouble::from(&format!("The folder of the {whose} cannot be made"), error);
        fs::create_dir_all(&home).map_err(no_home)?;
        // Two test runs may come here at once; the second waits and finds everything ready.
        let lock = File::create(home.join("venv.lock")).and_then(|file| file.lock().map(|()| file));
        let _lock = lock.map_err(|error| Trouble::from("The virtual environment cannot be locked", error))?;

        let venv = home.join("venv");
        let interpreter = venv.join("bin").join("python");
        let stamp = venv.join("requirements.txt");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == self.requirements) {
            return Ok(interpreter);
        }
        progress(&format!("setting up the {whose}'s Python packages, once"));
        let system = system_python(whose)?;
        // A half-made environment is worth nothing.
        if venv.exists() {
            let in_the_way = |error| Trouble::from("The old virtual environment is in the way", error);
            fs::remove_dir_all(&venv).map_err(in_the_way)?;
        }
        let made = run(Command::new(system).args(["-m", "venv"]).arg(&venv))?;
        if !made.status.success() {
            return Err(Trouble(
                "Python cannot make virtual environments. On Debian and Ubuntu, install the package python3-venv."
                    .into(),
            ));
        }
        let requirements = home.join("requirements.txt");
        fs::write(&requirements, self.requirements)
            .map_err(|error| Trouble::from("The requirements cannot be written", error))?;
        install(whose, &interpreter, &requirements)?;
        fs::rename(&requirements, &stamp)
            .map_err(|error| Trouble::from("The requirements cannot be stamped", error))?;
        Ok(interpreter)
    }
}

fn install(whose: &str, interpreter: &Path, requirements: &Path) -> Result<(), Trouble> {
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"];
    let installed = run(Command::new(interpreter).args(pip).arg(requirements))?;
    if installed.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&installed.stderr);
    let last = said.lines().rev().find(|line| line.contains("ERROR")).unwrap_or("pip gave no reason");
    Err(Trouble(format!(
        "The {whose}'s Python packages could not be installed. The first time needs a network that reaches a Python \
         package index. ({})",
        last.trim()
    )))
}

fn system_python(whose: &str) -> Result<PathBuf, Trouble> {
    let version = "import sys; print(*sys.version_info[:2])";
    for name in ["python3", "python"] {
        let Ok(output) = Command::new(name).args(["-c", version]).stdin(Stdio::null()).output() else {
            continue;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let mut parts = text.split_whitespace().filter_map(|part| part.parse().ok());
        if let (Some(major), Some(minor)) = (parts.next(), parts.next()) {
            if (major, minor) >= OLDEST {
                return Ok(name.into());
            }
            let (wanted_major, wanted_minor) = OLDEST;
            return Err(Trouble(format!(
                "Python {wanted_major}.{wanted_minor} or newer is needed for the {whose}; `{name}` is {major}.{minor}."
            )));
        }
    }
    Err(Trouble(format!("Python 3 is needed for the {whose}, and there is no `python3` on the path. Install it.")))
}

fn run(command: &mut Command) -> Result<Output, Trouble> {
    command.stdin(Stdio::null()).output().map_err(|error| Trouble::from("Python could not be started", error))
}
