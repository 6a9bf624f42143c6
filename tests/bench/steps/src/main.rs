//! What single steps of the functions take, without any network, beside the least that each could take: a program of its
//! own, because `cargo cost` measures what is built as it is deployed.
//!
//! The argument says which step; standard input holds what it works on. On standard output comes a JSON list of
//! microseconds, the floor first.

mod coalesce;
mod open;
mod receive;
mod turns;

use std::error::Error;
use std::io;

pub(crate) type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let input = io::read_to_string(io::stdin())?;
    let taken = match std::env::args().nth(1).as_deref() {
        Some("coalesce") => coalesce::measure(&input)?.to_vec(),
        Some("receive") => receive::measure(&input)?.to_vec(),
        Some("open") => open::measure(&input)?.to_vec(),
        _ => return Err("the argument is `coalesce`, `receive` or `open`".into()),
    };
    let micros: Vec<f64> = taken.into_iter().map(|taken| taken.as_secs_f64() * 1_000_000.0).collect();
    Ok(serde_json::to_writer(io::stdout(), &micros)?)
}
