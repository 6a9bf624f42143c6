//! The time of a meeting: ISO 8601 with an offset, or a local time with an IANA or a Windows zone name. Graph is always
//! told UTC, because it does not accept every IANA name.

use std::str::FromStr;
use std::time::Duration;

use icu_time::zone::iana::IanaParserExtended;
use icu_time::zone::windows::WindowsParser;
use jiff::civil;
use jiff::fmt::temporal::{Pieces, TimeZoneAnnotationKind};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The expected form of a time field, as its error message says it.
pub(crate) const EXPECTED_TIME: &str = "expected an ISO 8601 date and time such as 2026-05-04T18:00:00+02:00, or a local one such as 2026-05-04T18:00:00 \
     together with timeZone";

/// The expected form of a zone field, as its error message says it.
pub(crate) const EXPECTED_ZONE: &str =
    "expected an IANA name such as Europe/Berlin or a Windows name such as W. Europe Standard Time";

/// A date and time as it was sent, with or without an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentTime {
    /// An instant: the text carried an offset or `Z`.
    Instant(Timestamp),
    /// A local time that needs a zone.
    Local(civil::DateTime),
    /// A local time with its own zone, as RFC 9557 writes it: `2026-05-04T18:00:00[Europe/Berlin]`.
    Zoned(civil::DateTime, Zone),
}

impl FromStr for SentTime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let pieces = Pieces::parse(text).map_err(|_| EXPECTED_TIME)?;
        // The parser would take a bare date for midnight, which nobody means.
        let local = pieces.date().to_datetime(pieces.time().ok_or(EXPECTED_TIME)?);
        match (pieces.to_numeric_offset(), pieces.time_zone_annotation()) {
            (None, None) => Ok(Self::Local(local)),
            (None, Some(zone)) => match zone.kind() {
                TimeZoneAnnotationKind::Named(name) => Ok(Self::Zoned(local, name.as_str().parse()?)),
                _ => Err(EXPECTED_TIME),
            },
            (Some(offset), None) => offset.to_timestamp(local).map(Self::Instant).map_err(|_| EXPECTED_TIME),
            // Refused when offset and zone contradict each other.
            (Some(_), Some(_)) => {
                text.parse().map(|time: Zoned| Self::Instant(time.timestamp())).map_err(|_| EXPECTED_TIME)
            }
        }
    }
}

/// A time zone by its IANA name, in any case, or its Windows name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl FromStr for Zone {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let name = iana_name_of_windows_zone(text).unwrap_or(text);
        let zone = TimeZone::get(name).map_err(|_| EXPECTED_ZONE)?;
        // Names of a zone that was never set: `Etc/Unknown` and `Factory`. Both would pass for UTC.
        let is_none = zone.is_unknown() || zone.iana_name().is_some_and(|name| name.eq_ignore_ascii_case("Factory"));
        if is_none { Err(EXPECTED_ZONE) } else { Ok(Self(zone)) }
    }
}

/// Unicode CLDR's IANA name for a Windows name, where no country narrows it down.
fn iana_name_of_windows_zone(name: &str) -> Option<&'static str> {
    let zone = WindowsParser::new().parse(name, None)?;
    IanaParserExtended::new().iter().find(|entry| entry.time_zone == zone).map(|entry| entry.canonical)
}

impl SentTime {
    /// The instant; `None` when it needs a zone and there is none. A local time that a clock change skips moves
    /// forward; of one that it repeats, the first counts.
    #[must_use]
    pub(crate) fn instant(&self, zone: Option<&Zone>) -> Option<Timestamp> {
        match self {
            Self::Instant(instant) => Some(*instant),
            Self::Local(local) => zone?.0.to_timestamp(*local).ok(),
            Self::Zoned(local, own) => own.0.to_timestamp(*local).ok(),
        }
    }

    /// Whether the time has a zone of its own that disagrees with this one.
    #[must_use]
    pub(crate) fn contradicts(&self, zone: &Zone) -> bool {
        match self {
            Self::Zoned(local, own) => own.0.to_timestamp(*local).ok() != zone.0.to_timestamp(*local).ok(),
            Self::Instant(_) | Self::Local(_) => false,
        }
    }
}

/// The start and end of a meeting; the end is after the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWindow {
    /// The start of the meeting.
    pub start: Timestamp,
    /// The end of the meeting.
    pub end: Timestamp,
}

impl TimeWindow {
    /// The window that begins at a start and lasts for a duration.
    #[must_use]
    pub(crate) fn lasting(start: Timestamp, duration: Duration) -> Option<Self> {
        Some(Self { start, end: start.checked_add(duration).ok()? })
    }

    /// The window, extended by this much on both sides.
    #[must_use]
    pub(crate) fn widened(self, by: Duration) -> Self {
        Self {
            start: self.start.checked_sub(by).unwrap_or(Timestamp::MIN),
            end: self.end.checked_add(by).unwrap_or(Timestamp::MAX),
        }
    }
}

/// UTC with `Z`, to the second, as answers and Graph's `DateTimeOffset` have it.
#[must_use]
pub(crate) fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// UTC without offset, to the second, as Graph's `dateTimeTimeZone` has it.
#[must_use]
pub(crate) fn utc_without_offset(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Reads one of Graph's times, which have up to seven decimals and are in UTC where they have no offset.
#[must_use]
pub(crate) fn from_graph(text: &str) -> Option<Timestamp> {
    text.parse::<SentTime>().ok()?.instant(Some(&Zone(TimeZone::UTC)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instant(time: &str, zone: &str) -> String {
        let zone = (!zone.is_empty()).then(|| zone.parse::<Zone>().unwrap());
        utc(time.parse::<SentTime>().unwrap().instant(zone.as_ref()).unwrap())
    }

    #[test]
    fn offsets_iana_and_windows_names_lead_to_utc() {
        for (time, zone, expected) in [
            ("2026-05-04T18:00:00+02:00", "", "2026-05-04T16:00:00Z"),
            ("2026-05-04T18:00:00Z", "", "2026-05-04T18:00:00Z"),
            ("2026-05-04T18:00:00.1234567-08:00", "Europe/Berlin", "2026-05-05T02:00:00Z"),
            ("2026-05-04T18:00:00", "Europe/Berlin", "2026-05-04T16:00:00Z"),
            ("2026-05-04T18:00", "europe/berlin", "2026-05-04T16:00:00Z"),
            ("2026-05-04 18:00:00", "W. Europe Standard Time", "2026-05-04T16:00:00Z"),
            ("2026-05-04T18:00:00", "Pacific Standard Time", "2026-05-05T01:00:00Z"),
            ("2026-05-04T18:00:00", "UTC", "2026-05-04T18:00:00Z"),
            ("2026-05-04T18:00:00[Europe/Berlin]", "", "2026-05-04T16:00:00Z"),
            ("2026-05-04T18:00:00+02:00[Europe/Berlin]", "", "2026-05-04T16:00:00Z"),
            ("2026-05-04T18:00:00Z[America/New_York]", "", "2026-05-04T18:00:00Z"),
        ] {
            assert_eq!(instant(time, zone), expected, "{time} {zone}");
        }
    }

    #[test]
    fn a_gap_moves_forward_and_a_fold_is_the_first_of_the_two() {
        assert_eq!(instant("2026-03-29T02:30:00", "Europe/Berlin"), "2026-03-29T01:30:00Z");
        assert_eq!(instant("2026-10-25T02:30:00", "Europe/Berlin"), "2026-10-25T00:30:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "2020-05-4T18:00:00",
            "2026-05-04",
            "2026-05-04[Europe/Berlin]",
            "tomorrow",
            "",
            "2026-13-01T00:00:00Z",
            "18:00",
            "T",
            "2026-05-04T18:00:00-08:00[Europe/Berlin]",
            "2026-05-04T18:00:00[+02:00]",
        ] {
            assert_eq!(bad.parse::<SentTime>(), Err(EXPECTED_TIME), "{bad}");
        }
        for bad in ["Middle-earth/Shire", "Etc/Unknown", "Factory"] {
            assert!(format!("2026-05-04T18:00:00[{bad}]").parse::<SentTime>().is_err(), "{bad}");
        }
        assert_eq!("2026-05-04T18:00:00".parse::<SentTime>().unwrap().instant(None), None);
        for bad in [
            "Middle-earth/Shire",
            "CET summer",
            "",
            "Etc/Unknown",
            "etc/unknown",
            "Factory",
            "FACTORY",
            "tzone://Microsoft/Custom",
            "Local",
        ] {
            assert_eq!(bad.parse::<Zone>(), Err(EXPECTED_ZONE), "{bad}");
        }
    }

    #[test]
    fn graphs_times_are_utc_where_they_have_no_offset() {
        for text in ["2026-05-04T09:00:00.0000000", "2026-05-04T09:00:00Z", "2026-05-04T02:00:00.0000000-07:00"] {
            assert_eq!(from_graph(text).map(utc).as_deref(), Some("2026-05-04T09:00:00Z"));
        }
    }

    /// Every pair of Unicode CLDR's `windowsZones.xml` (territory 001), which is where Windows' names are kept.
    #[test]
    fn every_windows_name_is_known_and_means_what_cldr_says() {
        let list = include_str!("windows_zones.txt");
        let pairs: Vec<_> = list.lines().filter_map(|line| line.split_once('\t')).collect();
        assert!(pairs.len() >= 142, "{}", pairs.len());
        for (windows, iana) in pairs {
            let (by_windows, by_iana) = (windows.parse::<Zone>(), iana.parse::<Zone>());
            assert!(by_windows.is_ok(), "{windows}");
            for month in 1..=12 {
                let noon = SentTime::Local(civil::date(2026, month, 15).at(12, 0, 0, 0));
                assert_eq!(
                    noon.instant(by_windows.as_ref().ok()),
                    noon.instant(by_iana.as_ref().ok()),
                    "{windows} {iana}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(time in ".*", zone in ".*") {
            let zone = zone.parse::<Zone>().ok();
            let _ = time.parse::<SentTime>().map(|time| time.instant(zone.as_ref()));
        }

        #[test]
        fn what_is_written_is_read_again(seconds in -2_000_000_000_i64..4_000_000_000) {
            let time = Timestamp::from_second(seconds).unwrap();
            prop_assert_eq!(from_graph(&utc(time)), Some(time));
            prop_assert_eq!(from_graph(&utc_without_offset(time)), Some(time));
        }
    }
}
