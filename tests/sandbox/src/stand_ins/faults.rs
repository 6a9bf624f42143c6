//! Faults that are switched on for a test.

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Vendor, locked};

/// A fault: something that goes wrong with a request.
///
/// As JSON for the control panel: `{"at":"graph","match":"createOrGet","status":429,"retryAfter":"1.5"}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The vendor whose requests it hits.
    pub at: Vendor,
    /// A part of the request (`METHOD path?query body`) that it must contain; empty is every request.
    #[serde(default, rename = "match")]
    pub matching: String,
    /// How many requests it hits; absent is one, 0 is all until it is cleared.
    #[serde(default = "once")]
    pub times: u32,
    /// Whether the request is taken all the same: `after` does first what was asked and then goes wrong.
    #[serde(default)]
    pub when: When,
    /// How long the answer is delayed.
    #[serde(default)]
    pub delay_ms: u64,
    /// Answers with this status.
    #[serde(default)]
    pub status: Option<u16>,
    /// `Retry-After` of that answer, to the letter.
    #[serde(default)]
    pub retry_after: Option<String>,
    /// The error code of that answer; absent is the one that fits the status.
    #[serde(default)]
    pub code: Option<String>,
    /// Resets the connection without an answer.
    #[serde(default)]
    pub reset: bool,
    /// Of a hundred requests that contain the text, how many it hits; absent is all.
    #[serde(default)]
    pub percent: Option<f64>,
    /// The same seed hits the same requests.
    #[serde(default)]
    pub seed: u64,
}

/// Whether the request is taken before things go wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// The fault comes before, so the request is not taken.
    #[default]
    Before,
    /// The fault comes after, so the request is taken.
    After,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// A fault that hits one request at this vendor which contains this text, and does nothing yet.
    #[must_use]
    pub fn at(at: Vendor, matching: impl Into<String>) -> Self {
        let matching = matching.into();
        Self {
            at,
            matching,
            times: 1,
            when: When::Before,
            delay_ms: 0,
            status: None,
            retry_after: None,
            code: None,
            reset: false,
            percent: None,
            seed: 0,
        }
    }

    /// Takes the request first.
    #[must_use]
    pub fn after(self) -> Self {
        Self { when: When::After, ..self }
    }

    /// Hits this many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Hits so many of a hundred requests, and goes on; the same seed hits the same ones.
    #[must_use]
    pub fn percent(self, percent: f64, seed: u64) -> Self {
        Self { percent: Some(percent), seed, times: 0, ..self }
    }

    /// Answers with a status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Answers with a status and the vendor's error code.
    #[must_use]
    pub fn refused(self, status: u16, code: &str) -> Self {
        Self { status: Some(status), code: Some(code.into()), ..self }
    }

    /// Answers 429 with this `Retry-After`.
    #[must_use]
    pub fn throttled(self, retry_after: &str) -> Self {
        Self { status: Some(429), retry_after: Some(retry_after.into()), ..self }
    }

    /// Delays the answer by this long.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), ..self }
    }

    /// Resets the connection without an answer.
    #[must_use]
    pub fn reset(self) -> Self {
        Self { reset: true, ..self }
    }
}

/// A fault that is switched on, and the dice that say whether it hits.
#[derive(Debug)]
struct Active {
    fault: Fault,
    dice: fastrand::Rng,
}

impl Active {
    fn hits(&mut self, vendor: Vendor, request: &str) -> bool {
        self.fault.at == vendor
            && request.contains(&self.fault.matching)
            && self.fault.percent.is_none_or(|percent| self.dice.f64() * 100.0 < percent)
    }
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Active>>);

impl Faults {
    /// Switches a fault on.
    pub fn add(&self, fault: Fault) {
        let dice = fastrand::Rng::with_seed(fault.seed);
        locked(&self.0).push(Active { fault, dice });
    }

    /// Switches all faults off.
    pub fn clear(&self) {
        locked(&self.0).clear();
    }

    /// The faults that are switched on.
    #[must_use]
    pub fn all(&self) -> Vec<Fault> {
        locked(&self.0).iter().map(|active| active.fault.clone()).collect()
    }

    /// The first fault that hits this request, used up by one.
    pub(super) fn take(&self, vendor: Vendor, request: &str) -> Option<Fault> {
        let mut faults = locked(&self.0);
        let index = faults.iter_mut().position(|active| active.hits(vendor, request))?;
        let fault = &mut faults.get_mut(index)?.fault;
        let taken = fault.clone();
        match fault.times {
            0 => {}
            1 => {
                faults.remove(index);
            }
            _ => fault.times -= 1,
        }
        Some(taken)
    }

    /// Takes back a fault that hit a request and did nothing to it.
    pub(super) fn give_back(&self, fault: &Fault) {
        if fault.times != 0 {
            // It was to hit this one already, so that nothing is left to chance.
            self.add(Fault { times: 1, percent: None, ..fault.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_kept_and_the_same_for_the_same_seed() {
        let hits = |seed| {
            let faults = Faults::default();
            faults.add(Fault::at(Vendor::Genesys, "inbound").status(503).percent(1.0, seed));
            assert!(faults.take(Vendor::Genesys, "POST /agentless").is_none());
            (0..10_000).filter(|_| faults.take(Vendor::Genesys, "POST /inbound").is_some()).count()
        };
        assert!((60..150).contains(&hits(1)), "{}", hits(1));
        assert_eq!(hits(1), hits(1));
        assert_ne!(hits(1), hits(2));
    }
}
