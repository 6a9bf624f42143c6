//! Online meetings: a join link without a calendar entry.
//!
//! Every call needs `OnlineMeetings.ReadWrite.All` and a Teams application access policy that covers the organizer.

use std::future::Future;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use super::{GraphClient, GraphError, with_query};
use crate::http::RequestContext;

const PERMISSION: &str = "OnlineMeetings.ReadWrite.All";

/// The body of `createOrGet`. Times are UTC with `Z`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOnlineMeeting {
    /// The key by which the organizer's meeting is found again.
    pub external_id: String,
    /// The start of the meeting.
    pub start_date_time: String,
    /// The end of the meeting.
    pub end_date_time: String,
    /// The subject of the meeting.
    pub subject: String,
}

/// The options of a meeting that are set after it was created, because `createOrGet` does not take them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeetingOptions {
    /// Which participants bypass the lobby.
    pub lobby_bypass_settings: LobbyBypassSettings,
    /// Which participants may present.
    pub allowed_presenters: String,
}

/// Which participants bypass the lobby.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LobbyBypassSettings {
    /// The scope of participants: `everyone`, `organization` and so on.
    pub scope: String,
    /// Whether callers by phone bypass it too.
    pub is_dial_in_bypass_enabled: bool,
}

/// A meeting as Graph returns it. Everything but the id may be missing; enumerations are texts, because they grow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnlineMeeting {
    /// Graph's id of the meeting.
    pub id: String,
    /// The URL by which participants join.
    #[serde(default)]
    pub join_web_url: Option<String>,
    /// The start, in UTC.
    #[serde(default)]
    pub start_date_time: Option<String>,
    /// The end, in UTC.
    #[serde(default)]
    pub end_date_time: Option<String>,
    #[serde(default)]
    lobby_bypass_settings: Option<ReadLobby>,
    /// Which participants may present.
    #[serde(default)]
    pub allowed_presenters: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct ReadLobby {
    #[serde(default)]
    scope: Option<String>,
}

impl OnlineMeeting {
    /// Which participants bypass the lobby, if Graph said so.
    #[must_use]
    pub fn lobby_scope(&self) -> Option<&str> {
        self.lobby_bypass_settings.as_ref()?.scope.as_deref()
    }
}

#[derive(Deserialize)]
struct MeetingPage {
    value: Vec<OnlineMeeting>,
}

/// Online meetings of Microsoft Teams.
pub trait OnlineMeetings: Send + Sync {
    /// Creates a meeting or finds it again: `POST /users/{id}/onlineMeetings/createOrGet`. Returns the meeting, and
    /// whether it is new. The key is tenant, user and `externalId`; a repetition returns the first meeting's own times
    /// and subject.
    ///
    /// <https://learn.microsoft.com/graph/api/onlinemeeting-createorget>
    ///
    /// # Errors
    /// [`GraphError::AccessPolicyMissing`], [`GraphError::NotFound`] (no such user, or none with Teams), any other
    /// [`GraphError`].
    fn create_or_get_online_meeting(
        &self,
        cx: &RequestContext,
        user_id: &str,
        meeting: &NewOnlineMeeting,
    ) -> impl Future<Output = Result<(bool, OnlineMeeting), GraphError>> + Send;

    /// Sets the options: `PATCH /users/{id}/onlineMeetings/{id}`. Returns the meeting as it is now.
    ///
    /// <https://learn.microsoft.com/graph/api/onlinemeeting-update>
    ///
    /// # Errors
    /// [`GraphError`]
    fn update_online_meeting(
        &self,
        cx: &RequestContext,
        user_id: &str,
        meeting_id: &str,
        options: &MeetingOptions,
    ) -> impl Future<Output = Result<OnlineMeeting, GraphError>> + Send;

    /// Reads a meeting: `GET /users/{id}/onlineMeetings/{id}`.
    ///
    /// <https://learn.microsoft.com/graph/api/onlinemeeting-get>
    ///
    /// # Errors
    /// [`GraphError`]
    fn get_online_meeting(
        &self,
        cx: &RequestContext,
        user_id: &str,
        meeting_id: &str,
    ) -> impl Future<Output = Result<OnlineMeeting, GraphError>> + Send;

    /// Finds the meeting behind a join link, even a calendar event's: `GET
    /// /users/{id}/onlineMeetings?$filter=JoinWebUrl eq '…'`.
    ///
    /// <https://learn.microsoft.com/graph/api/onlinemeeting-get>
    ///
    /// # Errors
    /// [`GraphError::NotFound`] when there is none; any other [`GraphError`].
    fn find_online_meeting(
        &self,
        cx: &RequestContext,
        user_id: &str,
        join_url: &str,
    ) -> impl Future<Output = Result<OnlineMeeting, GraphError>> + Send;
}

impl OnlineMeetings for GraphClient {
    async fn create_or_get_online_meeting(
        &self,
        cx: &RequestContext,
        user_id: &str,
        meeting: &NewOnlineMeeting,
    ) -> Result<(bool, OnlineMeeting), GraphError> {
        let url = self.base.join(["users", user_id, "onlineMeetings", "createOrGet"]);
        let request = self.remote.http.post(url).json(meeting);
        let (status, meeting) = self.fetch(cx, "createOrGet onlineMeeting", PERMISSION, request).await?;
        Ok((status == StatusCode::CREATED, meeting))
    }

    async fn update_online_meeting(
        &self,
        cx: &RequestContext,
        user_id: &str,
        meeting_id: &str,
        options: &MeetingOptions,
    ) -> Result<OnlineMeeting, GraphError> {
        let url = self.base.join(["users", user_id, "onlineMeetings", meeting_id]);
        let request = self.remote.http.patch(url).json(options);
        self.fetch(cx, "update onlineMeeting", PERMISSION, request).await.map(|(_, meeting)| meeting)
    }

    async fn get_online_meeting(
        &self,
        cx: &RequestContext,
        user_id: &str,
        meeting_id: &str,
    ) -> Result<OnlineMeeting, GraphError> {
        let url = self.base.join(["users", user_id, "onlineMeetings", meeting_id]);
        let request = self.remote.http.get(url);
        self.fetch(cx, "get onlineMeeting", PERMISSION, request).await.map(|(_, meeting)| meeting)
    }

    async fn find_online_meeting(
        &self,
        cx: &RequestContext,
        user_id: &str,
        join_url: &str,
    ) -> Result<OnlineMeeting, GraphError> {
        let filter = format!("JoinWebUrl eq '{}'", join_url.replace('\'', "''"));
        let url = with_query(self.base.join(["users", user_id, "onlineMeetings"]), &[("$filter", &filter)]);
        let request = self.remote.http.get(url);
        let (_, page): (_, MeetingPage) = self.fetch(cx, "find onlineMeeting", PERMISSION, request).await?;
        page.value.into_iter().next().ok_or_else(|| GraphError::NotFound { code: "no meeting has this link".into() })
    }
}
