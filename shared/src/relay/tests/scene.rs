//! A source and two sinks of lines, such as `a/10/40`: version 40 of the tenth line of group `a`.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::{Code, Error};
use crate::http::{Deadline, RequestContext};
use crate::queue::Message;
use crate::relay::back::MemoryBack;
use crate::relay::{Attempt, Delivered, DeliveryTally, Event, KeyAhead, Opened, Relay, Sinks, Source};
use crate::store::RecordKey;
use crate::store::deliveries::MemoryDeliveries;

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A failure that passes by itself, within seconds or later in the queue.
fn trouble() -> Error {
    Error::new(if fastrand::bool() { Code::GENESYS_UNAVAILABLE } else { Code::GENESYS_THROTTLED }, "test")
}

/// A line as a message of the queue, with its version in it.
pub(super) fn line(group: &str, id: i64) -> Message {
    let (id_of_message, body) = (Uuid::new_v4().to_string(), format!("{group}/{id}/{id}"));
    Message { id: id_of_message, body, receives: 1, group: group.into(), receipt: "r".into() }
}

/// A line: its text, its group, its number, and its version where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    text: String,
    group: String,
    id: i64,
    version: Option<i64>,
}

impl Event for Line {
    fn version(&self) -> Option<i64> {
        self.version
    }

    fn received_at(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A source that opens lines; it fails now and then, and at these lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) failures: Mutex<f64>,
    pub(super) refused: Mutex<HashSet<String>>,
    pub(super) rejected: Mutex<HashSet<String>>,
    pub(super) hangs: Mutex<HashSet<String>>,
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) known: Mutex<Vec<String>>,
}

impl Source for Lines {
    type Notice = Line;
    type Event = Line;

    fn read(&self, _cx: &RequestContext, body: &str) -> Result<Option<Line>, String> {
        if body.is_empty() {
            return Ok(None);
        }
        assert_ne!(body, "panic");
        let mut parts = body.split('/').map(str::to_owned);
        let (Some(group), Some(id), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("test".into());
        };
        Ok(Some(Line { text: body.into(), group, id: id.parse().unwrap(), version: version.parse().ok() }))
    }

    fn costs_a_call(&self, _line: &Line) -> bool {
        true
    }

    async fn known(&self, _cx: &RequestContext, line: &Line) {
        locked(&self.known).push(line.text.clone());
    }

    async fn open(&self, _cx: &RequestContext, line: &Line) -> Result<Opened<Line>, Error> {
        locked(&self.asked).push(line.text.clone());
        if fastrand::f64() < *locked(&self.failures) {
            return Err(trouble());
        }
        let hangs = locked(&self.hangs).contains(&line.text);
        if hangs {
            std::future::pending::<()>().await;
        }
        if locked(&self.rejected).contains(&line.text) {
            return Err(Error::new(Code::GRAPH_REJECTED, "test"));
        }
        let refused = locked(&self.refused).contains(&line.text);
        Ok(if refused { Opened::Refused("test") } else { Opened::Event(line.clone()) })
    }
}

/// The two sinks of the scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Takes each version of a line that is newer than the one before.
    Chat,
    /// A sink that takes every event.
    Bus,
}

/// A line that arrived in the chat.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) group: String,
    pub(super) id: i64,
    pub(super) version: i64,
    pub(super) before: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) arrived: Mutex<Vec<Arrived>>,
    pub(super) published: Mutex<Vec<String>>,
    pub(super) failures: Mutex<f64>,
    /// The code of the outage, and when it ends.
    pub(super) outage: Mutex<Option<(Code, Instant)>>,
    /// Whether the chat takes the lines that it answers [`Code::OUTCOME_UNKNOWN`] to.
    pub(super) takes_in_doubt: Mutex<bool>,
    pub(super) hangs: Mutex<HashSet<String>>,
    pub(super) panics: Mutex<HashSet<String>>,
    refused: Mutex<HashMap<String, Code>>,
    pub(super) tried: Mutex<Vec<Place>>,
    /// Whether there is a bus; if so, the outage is the bus's.
    bus: bool,
}

impl Places {
    /// Makes the chat answer a line with this code.
    pub(super) fn refuse(&self, text: &str, code: Code) {
        locked(&self.refused).insert(text.into(), code);
    }

    pub(super) fn refuse_nothing(&self) {
        locked(&self.refused).clear();
    }

    fn arrive(&self, line: &Line, before: Option<i64>) {
        let (group, id, version) = (line.group.clone(), line.id, line.version.unwrap_or_default());
        locked(&self.arrived).push(Arrived { group, id, version, before });
    }

    fn trouble(&self, place: Place) -> Option<Code> {
        let outage = *locked(&self.outage);
        let (code, until) = outage?;
        (Instant::now() < until && (place == Place::Bus || !self.bus)).then_some(code)
    }
}

impl Sinks for Places {
    type Notice = Line;
    type Event = Line;
    type Sink = Place;

    fn all(&self) -> impl Iterator<Item = Place> + Send {
        [Place::Chat, Place::Bus].into_iter().take(if self.bus { 2 } else { 1 })
    }

    fn key(&self, place: Place, line: &Line) -> Option<(RecordKey, i64)> {
        match place {
            Place::Chat => {
                let version = line.version?;
                Some((RecordKey::new("chat", &[&line.group, &line.id.to_string()]), version))
            }
            Place::Bus => Some((RecordKey::new("bus", &[&line.text]), 0)),
        }
    }

    fn key_ahead(&self, place: Place, line: &Line) -> KeyAhead {
        self.key(place, line).map_or(KeyAhead::NotForIt, |(key, version)| KeyAhead::Key(key, version))
    }

    async fn deliver(
        &self,
        _cx: &RequestContext,
        place: Place,
        line: &Line,
        attempt: Attempt,
    ) -> Result<Delivered, Error> {
        locked(&self.tried).push(place);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..20))).await;
        if fastrand::f64() < *locked(&self.failures) {
            return Err(trouble());
        }
        if let Some(code) = self.trouble(place) {
            if code == Code::OUTCOME_UNKNOWN && *locked(&self.takes_in_doubt) {
                self.arrive(line, attempt.before);
            }
            return Err(Error::new(code, "test"));
        }
        if place == Place::Bus {
            locked(&self.published).push(line.text.clone());
            return Ok(Delivered::Delivered);
        }
        let hangs = locked(&self.hangs).contains(&line.text);
        if hangs {
            std::future::pending::<()>().await;
        }
        assert!(!locked(&self.panics).contains(&line.text), "a bug");
        let refused = locked(&self.refused).get(&line.text).copied();
        if let Some(code) = refused {
            return Err(Error::new(code, "test"));
        }
        self.arrive(line, attempt.before);
        Ok(Delivered::Delivered)
    }

    fn hung(&self, place: Place) -> Code {
        match place {
            Place::Chat => Code::OUTCOME_UNKNOWN,
            Place::Bus => Code::DELIVERY_FAILED,
        }
    }
}

/// A relay with its source, its sinks and its queue.
pub(super) struct Scene(Relay<Lines, MemoryDeliveries, Places, MemoryBack>);

impl Default for Scene {
    fn default() -> Self {
        Self::of(Places::default())
    }
}

impl Scene {
    pub(super) fn with_bus() -> Self {
        Self::of(Places { bus: true, ..Places::default() })
    }

    fn of(places: Places) -> Self {
        Self(Relay::new(Lines::default(), MemoryDeliveries::default(), places, MemoryBack::default()))
    }

    pub(super) fn source(&self) -> &Lines {
        self.0.source()
    }

    pub(super) fn sinks(&self) -> &Places {
        self.0.sinks()
    }

    pub(super) fn deliveries(&self) -> &MemoryDeliveries {
        &self.0.deliveries
    }

    pub(super) fn back(&self) -> &MemoryBack {
        &self.0.back
    }

    /// Begins an outage with this code, for this long.
    pub(super) fn outage(&self, code: Code, time: Duration) {
        *locked(&self.sinks().outage) = Some((code, Instant::now() + time));
    }

    pub(super) async fn serve(&self, messages: Vec<Message>) -> (Vec<String>, DeliveryTally) {
        self.serve_within(Duration::from_secs(30), messages).await
    }

    pub(super) async fn serve_within(&self, time: Duration, messages: Vec<Message>) -> (Vec<String>, DeliveryTally) {
        self.0.serve(&RequestContext::new("test", Deadline::after(time)), messages).await
    }

    /// The numbers of a group's lines, in the order of their arrival.
    pub(super) fn arrived(&self, group: &str) -> Vec<i64> {
        locked(&self.sinks().arrived).iter().filter(|it| it.group == group).map(|it| it.id).collect()
    }

    pub(super) fn published(&self) -> Vec<String> {
        locked(&self.sinks().published).clone()
    }
}
