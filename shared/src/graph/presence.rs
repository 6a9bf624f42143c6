//! Presence: the status that Teams shows beside a name.
//!
//! Every call needs `Presence.ReadWrite.All`. A change may be sent twice: the second has the same effect as the first.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{GraphClient, GraphError};
use crate::http::{Reply, RequestContext};

const PERMISSION: &str = "Presence.ReadWrite.All";

/// The most requests that Graph takes in one batch.
///
/// <https://learn.microsoft.com/graph/json-batching>
pub(crate) const BATCH_SIZE: usize = 20;

/// A change of one user's presence: one of Graph's actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// The user's object id.
    pub user_id: String,
    /// The action, with its values.
    pub action: PresenceAction,
}

/// Graph's actions on a presence. `minutes` is how long the effect lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceAction {
    /// Sets the presence of this app's session, which Teams weighs against the user's devices.
    ///
    /// <https://learn.microsoft.com/graph/api/presence-setpresence>
    SetPresence {
        /// The app's client id.
        session_id: Arc<str>,
        /// The availability, in Graph's spelling.
        availability: &'static str,
        /// The activity, in Graph's spelling.
        activity: &'static str,
        /// How long it lasts, 5 to 240 minutes.
        minutes: u32,
    },
    /// Ends the session of this app.
    ///
    /// <https://learn.microsoft.com/graph/api/presence-clearpresence>
    ClearPresence {
        /// The app's client id.
        session_id: Arc<str>,
    },
    /// Sets the preferred presence, which Teams shows whatever the devices report.
    ///
    /// <https://learn.microsoft.com/graph/api/presence-setuserpreferredpresence>
    SetUserPreferredPresence {
        /// The availability, in Graph's spelling.
        availability: &'static str,
        /// The activity, in Graph's spelling.
        activity: &'static str,
        /// How long it lasts, in minutes.
        minutes: u32,
    },
    /// Clears the preferred presence, so that sessions and devices count again.
    ///
    /// <https://learn.microsoft.com/graph/api/presence-clearuserpreferredpresence>
    ClearUserPreferredPresence,
}

impl PresenceAction {
    const fn name(&self) -> &'static str {
        match self {
            Self::SetPresence { .. } => "setPresence",
            Self::ClearPresence { .. } => "clearPresence",
            Self::SetUserPreferredPresence { .. } => "setUserPreferredPresence",
            Self::ClearUserPreferredPresence => "clearUserPreferredPresence",
        }
    }

    fn body(&self) -> Value {
        let until = |minutes: &u32| format!("PT{minutes}M");
        match self {
            Self::SetPresence { session_id, availability, activity, minutes } => json!({
                "sessionId": session_id, "availability": availability, "activity": activity,
                "expirationDuration": until(minutes),
            }),
            Self::ClearPresence { session_id } => json!({"sessionId": session_id}),
            Self::SetUserPreferredPresence { availability, activity, minutes } => json!({
                "availability": availability, "activity": activity, "expirationDuration": until(minutes),
            }),
            Self::ClearUserPreferredPresence => json!({}),
        }
    }

    /// The outcome of the action by its answer. A session that is gone already counts as cleared.
    fn outcome(&self, reply: &Reply) -> Result<(), GraphError> {
        let gone = matches!(self, Self::ClearPresence { .. }) && reply.status.as_u16() == 404;
        if gone || reply.status.is_success() { Ok(()) } else { Err(GraphError::from_reply(reply, PERMISSION)) }
    }
}

#[derive(Serialize)]
struct GraphBatchAnswer {
    requests: Vec<Value>,
}

#[derive(Deserialize)]
struct BatchReply {
    responses: Vec<InnerReply>,
}

#[derive(Deserialize)]
struct InnerReply {
    id: String,
    status: u16,
    #[serde(default)]
    headers: HashMap<String, Value>,
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

impl InnerReply {
    fn into_reply(self) -> Reply {
        let retry_after = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
        let retry_after = retry_after.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        Reply {
            status: reqwest::StatusCode::from_u16(self.status).unwrap_or(reqwest::StatusCode::BAD_GATEWAY),
            retry_after: retry_after.and_then(|text| crate::http::retry::retry_after(&text, jiff::Timestamp::now())),
            body: self.body.map(|body| body.get().as_bytes().to_vec()).unwrap_or_default(),
            ..Reply::default()
        }
    }
}

/// The body of `POST /$batch` for these changes; their ids are their places in the list.
#[must_use]
pub fn batch_body(changes: &[PresenceChange]) -> Value {
    let request = |(place, change): (usize, &PresenceChange)| {
        json!({
            "id": place.to_string(),
            "method": "POST",
            "url": format!("/users/{}/presence/{}", change.user_id, change.action.name()),
            "headers": {"Content-Type": "application/json"},
            "body": change.action.body(),
        })
    };
    json!(GraphBatchAnswer { requests: changes.iter().enumerate().map(request).collect() })
}

/// The outcome of each change, in order. A change that Graph did not answer counts as failed.
///
/// # Errors
/// [`GraphError::Unreadable`], when the body is no answer to a batch.
pub fn batch_outcomes(changes: &[PresenceChange], body: &[u8]) -> Result<Vec<Result<(), GraphError>>, GraphError> {
    let reply: BatchReply =
        serde_json::from_slice(body).map_err(|error| GraphError::Unreadable { problem: error.to_string() })?;
    let mut outcomes =
        vec![Err(GraphError::Unreadable { problem: "a request of the batch has no answer".into() }); changes.len()];
    for inner in reply.responses {
        let place = inner.id.parse::<usize>().ok().filter(|place| *place < changes.len());
        if let Some((change, outcome)) = place.and_then(|place| Some((changes.get(place)?, outcomes.get_mut(place)?))) {
            *outcome = change.action.outcome(&inner.into_reply());
        }
    }
    Ok(outcomes)
}

/// Changes presences that Teams shows.
pub trait Presences: Send + Sync {
    /// The client id of the bridge's app, whose session is the only one that it may set.
    ///
    /// # Errors
    /// [`GraphError::Auth`]
    fn app_id(&self, cx: &RequestContext) -> impl Future<Output = Result<Arc<str>, GraphError>> + Send;

    /// Makes at most [`BATCH_SIZE`] changes in one round trip: `POST /$batch`. Returns the outcome of each. A change
    /// that Graph throttled is not retried here.
    ///
    /// <https://learn.microsoft.com/graph/json-batching>
    ///
    /// # Errors
    /// [`GraphError`], when none of them was made, or it cannot be told.
    fn batch_presence_changes(
        &self,
        cx: &RequestContext,
        changes: &[PresenceChange],
    ) -> impl Future<Output = Result<Vec<Result<(), GraphError>>, GraphError>> + Send;
}

impl GraphClient {
    /// Makes one change of one user's presence.
    ///
    /// # Errors
    /// [`GraphError::NotFound`] when there is no such user; any other [`GraphError`].
    pub async fn change_presence(&self, cx: &RequestContext, change: &PresenceChange) -> Result<(), GraphError> {
        let PresenceChange { user_id, action } = change;
        let url = self.base.join(["users", user_id, "presence", action.name()]);
        let request = self.remote.http.post(url).json(&action.body());
        action.outcome(&self.reply(cx, action.name(), request).await?)
    }

    /// Makes at most [`BATCH_SIZE`] changes in one round trip: a single one by its own call, several by a batch.
    ///
    /// # Errors
    /// As for [`Self::batch_presence_changes`].
    pub(crate) async fn change_presences(
        &self,
        cx: &RequestContext,
        changes: &[PresenceChange],
    ) -> Result<Vec<Result<(), GraphError>>, GraphError> {
        match changes {
            [change] => Ok(vec![self.change_presence(cx, change).await]),
            _ => self.batch_presence_changes(cx, changes).await,
        }
    }
}

impl Presences for GraphClient {
    async fn app_id(&self, cx: &RequestContext) -> Result<Arc<str>, GraphError> {
        Ok(self.remote.app(cx).await?.client_id.as_str().into())
    }

    async fn batch_presence_changes(
        &self,
        cx: &RequestContext,
        changes: &[PresenceChange],
    ) -> Result<Vec<Result<(), GraphError>>, GraphError> {
        let request = self.remote.http.post(self.base.join(["$batch"])).json(&batch_body(changes));
        let reply = self.send(cx, "presence $batch", PERMISSION, request).await?;
        batch_outcomes(changes, &reply.body)
    }
}
