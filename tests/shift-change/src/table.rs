//! The state table behind a network: each request takes 3 to 8 ms.

use std::time::Duration;

use bridge::http::RequestContext;
use bridge::store::StoreError;
use bridge::store::last_presence::{
    Advanced, DueTurns, LastPresence, LastPresences, LeaseAnswer, LinkReading, LinkTable, MemoryLastPresences, Reason,
    SenderLease, SentPresence, Settled, TeamsLink, Turn, TurnPlan, WantedPresence,
};
use jiff::Timestamp;
use tokio::time::sleep;
use uuid::Uuid;

/// The state table behind a network.
pub(crate) struct Table(pub MemoryLastPresences);

impl Table {
    async fn travel() {
        sleep(Duration::from_millis(fastrand::u64(3..8))).await;
    }

    /// Whether something is still to be sent.
    pub(crate) async fn has_backlog(&self, cx: &RequestContext) -> bool {
        for reason in [Reason::Urgent, Reason::Change, Reason::Unlinked] {
            if self.0.due(cx, reason, Timestamp::MAX, 1).await.is_ok_and(|due| !due.turns.is_empty()) {
                return true;
            }
        }
        false
    }
}

impl LastPresences for Table {
    async fn advance(
        &self,
        cx: &RequestContext,
        user: Uuid,
        wanted: &WantedPresence,
        turn: Option<Turn>,
        now: Timestamp,
    ) -> Result<Advanced, StoreError> {
        Self::travel().await;
        self.0.advance(cx, user, wanted, turn, now).await
    }

    async fn plan(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        plan: &TurnPlan,
    ) -> Result<(), StoreError> {
        Self::travel().await;
        self.0.plan(cx, user, modified, plan).await
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        user: Uuid,
        modified: Timestamp,
        sent: &SentPresence,
        next: Option<Turn>,
    ) -> Result<Settled, StoreError> {
        Self::travel().await;
        self.0.settle(cx, user, modified, sent, next).await
    }

    async fn due(
        &self,
        cx: &RequestContext,
        reason: Reason,
        now: Timestamp,
        most: usize,
    ) -> Result<DueTurns, StoreError> {
        Self::travel().await;
        self.0.due(cx, reason, now, most).await
    }

    async fn read(&self, cx: &RequestContext, users: &[Uuid]) -> Result<Vec<(Uuid, LastPresence)>, StoreError> {
        Self::travel().await;
        self.0.read(cx, users).await
    }
}

impl LinkTable for Table {
    async fn link(&self, cx: &RequestContext, user: Uuid, link: &TeamsLink) -> Result<(), StoreError> {
        Self::travel().await;
        self.0.link(cx, user, link).await
    }

    async fn reading(&self, cx: &RequestContext) -> Result<Option<LinkReading>, StoreError> {
        Self::travel().await;
        self.0.reading(cx).await
    }

    async fn keep_reading(&self, cx: &RequestContext, reading: &LinkReading) -> Result<(), StoreError> {
        Self::travel().await;
        self.0.keep_reading(cx, reading).await
    }
}

impl SenderLease for Table {
    async fn lease(
        &self,
        cx: &RequestContext,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<LeaseAnswer, StoreError> {
        Self::travel().await;
        self.0.lease(cx, holder, now, until).await
    }

    async fn leave_word(&self, cx: &RequestContext, holder: Option<Uuid>) -> Result<bool, StoreError> {
        Self::travel().await;
        self.0.leave_word(cx, holder).await
    }

    async fn give_back(
        &self,
        cx: &RequestContext,
        holder: Uuid,
        until: Timestamp,
        emptied: bool,
    ) -> Result<bool, StoreError> {
        Self::travel().await;
        self.0.give_back(cx, holder, until, emptied).await
    }
}
