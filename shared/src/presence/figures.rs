//! The mirror's tally as it stands in the log line.

use super::mirror::MirrorTally;
use crate::telemetry::{Figure, Figures};

impl Figures for MirrorTally {
    fn figures(&self) -> impl Iterator<Item = Figure> {
        let counts = [
            ("events", self.events),
            ("notOurs", self.not_ours),
            ("poison", self.poison),
            ("superseded", self.superseded),
            ("stale", self.stale),
            ("unchanged", self.unchanged),
            ("unmapped", self.unmapped),
            ("noTeamsUser", self.no_teams_user),
            ("sent", self.sent),
            ("renewed", self.renewed),
            ("overtaken", self.overtaken),
            ("failed", self.failed),
            ("putOff", self.put_off),
            ("givenUp", self.given_up),
            ("lookedUp", self.looked_up),
            ("linked", self.linked),
            ("outages", self.outages),
        ];
        let lag = (self.sent > 0).then_some(Figure::Milliseconds("worstLagMs", self.worst_lag_ms));
        let times = [Figure::Milliseconds("waitedMs", self.waited_ms)].into_iter().chain(lag);
        counts.into_iter().map(|(name, count)| Figure::Count(name, count)).chain(times)
    }
}
