//! `cargo shift-change`: simulates a shift change.
//!
//! Thousands of agents log off and on within five minutes. The events, some twice and some late, go through a queue as
//! the template sets it up, to the instances that the template allows, which run the mirror's own code against the
//! sandbox's Graph with its throttling. Time is virtual, so half an hour takes seconds; what a round trip takes in it is
//! assumed, and said below.

mod agents;
mod outcome;
mod picture;
mod queue;
mod simulation;
mod table;
mod vendors;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bridge::presence::PresenceMode;
use lexopt::prelude::*;
use outcome::{Mix, Outcome, Shift};

const USAGE: &str = "\
Simulates a shift change: agents log off and on within five minutes, and Teams follows.

Usage: cargo shift-change [--agents N] [--requests-per-second N] [--mode MODE] [--mix MIX] [--instances N] [--pictures FOLDER]

  --agents N               one run with so many agents; otherwise 1,000, 10,000 and 50,000
  --requests-per-second N  PRESENCE_REQUESTS_PER_SECOND; otherwise 50, and 333 for a second round
  --mode MODE              PRESENCE_MODE: preferred, session or both; otherwise each of them
  --mix MIX                who changes: most (urgent ones), tenth (a tenth is urgent) or first-day; otherwise each
  --instances N            PresenceInstances, 2 when not given
  --pictures FOLDER        where the pictures go, target/shift-change when not given";

/// The reason for which a run could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

struct Options {
    agents: Vec<usize>,
    rates: Vec<u32>,
    modes: Vec<PresenceMode>,
    mixes: Vec<Mix>,
    instances: u32,
    pictures: PathBuf,
}

impl Options {
    /// The runs: every size, budget and mode, each with mostly urgent changes, with one urgent change in ten, and on
    /// the first day.
    fn shifts(&self) -> Vec<Shift> {
        let mut shifts = Vec::new();
        for requests_per_second in self.rates.iter().copied() {
            for agents in self.agents.iter().copied() {
                for mode in self.modes.iter().copied() {
                    for mix in self.mixes.iter().copied() {
                        shifts.push(Shift { mix, mode, agents, requests_per_second, instances: self.instances });
                    }
                }
            }
        }
        shifts
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        agents: vec![1_000, 10_000, 50_000],
        rates: vec![50, 333],
        modes: vec![PresenceMode::Preferred, PresenceMode::Session, PresenceMode::Both],
        mixes: vec![Mix::Change, Mix::TenthUrgent, Mix::FirstDay],
        instances: 2,
        pictures: PathBuf::from("target/shift-change"),
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("agents") => options.agents = vec![arguments.value()?.parse()?],
            Long("requests-per-second") => options.rates = vec![arguments.value()?.parse()?],
            Long("mode") => options.modes = vec![arguments.value()?.parse()?],
            Long("mix") => options.mixes = vec![arguments.value()?.parse()?],
            Long("instances") => options.instances = arguments.value()?.parse()?,
            Long("pictures") => options.pictures = arguments.value()?.into(),
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn main() -> ExitCode {
    let mut out = io::stdout();
    let done = match options() {
        Ok(Some(options)) => run(&options, &mut out),
        Ok(None) => writeln!(out, "{USAGE}").map(|()| true).map_err(|error| Trouble(error.to_string())),
        Err(error) => Err(Trouble(format!("{error}\n\n{USAGE}"))),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "{trouble}");
            ExitCode::FAILURE
        }
    }
}

/// Makes all runs. Returns whether every run kept its promises.
fn run(options: &Options, out: &mut impl Write) -> Result<bool, Trouble> {
    let said = |error: io::Error| Trouble(error.to_string());
    std::fs::create_dir_all(&options.pictures).map_err(said)?;
    writeln!(
        out,
        "Agents change within 5 minutes; 1 % of the events come twice, 5 % up to a minute late. A round trip to Graph is \
         assumed to take 60 to 150 ms,\na write to the state table 3 to 8 ms. Lag is from an agent's last change until Teams \
         shows it.\n"
    )
    .map_err(said)?;
    writeln!(out, "{}", Outcome::HEADINGS).map_err(said)?;
    let mut good = true;
    for shift in options.shifts() {
        let outcome = simulation::run(shift)?;
        writeln!(out, "{outcome}").map_err(said)?;
        for broken in outcome.broken() {
            good = false;
            writeln!(out, "BROKEN: {broken}").map_err(said)?;
        }
        picture::draw(&options.pictures.join(format!("{}.svg", shift.name())), &outcome)?;
    }
    writeln!(out, "\nBacklog and lag over time: {}/*.svg", options.pictures.display()).map_err(said)?;
    Ok(good)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
