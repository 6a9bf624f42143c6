//! The check of the webhook: which notifications of a request carry the right client state.

use jiff::Timestamp;

use super::DoorTally;
use super::client_state::{ClientState, ClientStates};
use super::collection::{Collection, Notification};
use crate::error::Error;
use crate::http::RequestContext;

/// The notifications of a request that carry the right client state. Only a [`Doorkeeper`] can make it.
#[derive(Debug)]
pub struct Admitted {
    pub(super) notifications: Vec<Notification>,
    pub(super) validation_tokens: Vec<String>,
    /// The figures about the other notifications.
    pub(super) tally: DoorTally,
}

/// Checks the client states of notifications.
#[derive(Debug)]
pub struct Doorkeeper<'a, S> {
    /// The source of the client state.
    pub states: &'a S,
}

impl<S: ClientStates> Doorkeeper<'_, S> {
    /// Reads a request's body, and keeps the notifications with the right client state.
    ///
    /// # Errors
    /// When the body is no collection of notifications; when there is no client state to compare with.
    pub async fn admit(&self, cx: &RequestContext, body: &[u8], now: Timestamp) -> Result<Admitted, Error> {
        let collection = Collection::parse(body)?;
        let mut tally = DoorTally { notifications: collection.len(), ..DoorTally::default() };
        let mut notifications: Vec<_> = collection.notifications(now).flatten().collect();
        tally.malformed = tally.notifications - notifications.len();
        tally.undecided = self.retain(cx, &mut notifications).await?;
        tally.foreign = tally.notifications - tally.malformed - tally.undecided - notifications.len();
        Ok(Admitted { notifications, validation_tokens: collection.validation_tokens, tally })
    }

    /// Keeps the notifications with the right client state. A secret that has just been rotated is read again for it.
    /// Returns how many show a client state that could not be compared, because the secret could not be read again.
    async fn retain(&self, cx: &RequestContext, notifications: &mut Vec<Notification>) -> Result<usize, Error> {
        let mut state = self.states.current(cx).await?;
        let admitted = |notification: &Notification, state: &ClientState| {
            notification.client_state.as_ref().is_some_and(|shown| state.admits(shown))
        };
        let unknown = |notifications: &[Notification], state: &ClientState| {
            let shown = notifications.iter().filter(|notification| notification.client_state.is_some());
            shown.filter(|notification| !admitted(notification, state)).count()
        };
        let mut undecided = unknown(notifications, &state);
        if undecided > 0
            && let Some(renewed) = self.states.renewed(cx, &state).await?
        {
            (state, undecided) = (renewed, 0);
        }
        notifications.retain(|notification| admitted(notification, &state));
        Ok(undecided)
    }
}
