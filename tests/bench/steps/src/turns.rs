//! Measures how long a step takes on a machine that has other things to do.

use std::time::{Duration, Instant};

use crate::Failure;

/// How long the steps are measured.
const MEASURED: Duration = Duration::from_secs(4);

/// One turn of a step: about a millisecond of work that waits for nothing.
pub(crate) type Turn<'a> = &'a mut dyn FnMut() -> Result<(), Failure>;

/// How long a turn of each takes: the tenth percentile of many. The turns of all alternate, so that what slows one slows
/// the others, and each is short enough to fit in between what other programs do: longer ones would be measured with
/// them, up to twice as long as they take.
pub(crate) fn taken<const N: usize>(mut steps: [Turn<'_>; N]) -> Result<[Duration; N], Failure> {
    let mut all = [(); N].map(|()| Vec::new());
    let start = Instant::now();
    while start.elapsed() < MEASURED {
        for (step, turns) in steps.iter_mut().zip(&mut all) {
            let start = Instant::now();
            step()?;
            turns.push(start.elapsed());
        }
    }
    Ok(all.map(|mut turns| {
        turns.sort_unstable();
        turns.get(turns.len() / 10).copied().unwrap_or_default()
    }))
}
