//! Online meetings: a join link without a calendar entry.
//!
//! Every call needs `OnlineMeetings.ReadWrite.All` and a Teams application access policy that covers the organizer.

use std::future::Future;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};

use super::{GraphClient, GraphError, with_query};
use crate::http::RequestContext;

const PERMISSION: &str = "OnlineMeetings.ReadWrite.All";

/// Body of `createOrGet`. Times are UTC with `Z`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOnlineMeeting {
    /// The key under which the same organizer's meeting is found again.
    pub external_id: String,
    /// Start.
    pub start_date_time: String,
    /// End.
    pub end_date_time: String,
    /// Subject.
    pub subject: String,
}

/// What is set on a meeting after it was created; `createOrGet` does not take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeetingOptions {
    /// Who does not wait in the lobby.
    pub lobby_bypass_settings: LobbyBypassSettings,
    /// Who may present.
    pub allowed_presenters: String,
}

/// Who does not wait in the lobby.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LobbyBypassSettings {
    /// `everyone`, `organization` and so on.
    pub scope: String,
    /// Whether callers by phone pass too.
    pub is_dial_in_bypass_enabled: bool,
}

/// A meeting as Graph gives it back. Everything but the id may be missing; enums are texts, because they grow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnlineMeeting {
    /// Graph's id.
    pub id: String,
    /// The join URL.
    #[serde(default)]
    pub join_web_url: Option<String>,
    /// Start, UTC.
    #[serde(default)]
    pub start_date_time: Option<String>,
    /// End, UTC.
    #[serde(default)]
    pub end_date_time: Option<String>,
    #[serde(default)]
    lobby_bypass_settings: Option<ReadLobby>,
    /// Who may present.
    #[serde(default)]
    pub allowed_presenters: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct ReadLobby {
    #[serde(default)]
    scope: Option<String>,
}

impl OnlineMeeting {
    /// Who does not wait in the lobby, if Graph said so.
    #[must_use]
    pub fn lobby_scope(&self) -> Option<&str> {
        self.lobby_bypass_settings.as_ref()?.scope.as_deref()
    }
}

#[derive(Deserialize)]
struct Page {
    value: Vec<OnlineMeeting>,
}

/// Online meetings of Microsoft Teams.
pub trait OnlineMeetings: Send + Sync {
    /// `POST /users/{id}/onlineMeetings/createOrGet`: the meeting, and whether it is new. The key is tenant, user and
    /// `externalId`; on a repetition the first meeting's own times and subject come back.
    ///
    /// <https://learn.microsoft.com/graph/api/onlinemeeting-createorget>
    ///
    /// # Errors
    /// [`GraphError::AccessPolicyMissing`], [`GraphError::NotFound`] (no such user, or none with Teams), any other.
    fn create_or_get_online_meeting(
        &self,
        cx: &RequestContext,
        user_id: &str,
        meeting: &NewOnlineMeeting,
    ) -> impl Future<Output = Result<(bool, OnlineMeeting), GraphError>> + Send;

    /// `PATCH /users/{id}/onlineMeetings/{id}`: sets the options and gives the meeting back as it now is.
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

    /// `GET /users/{id}/onlineMeetings/{id}`
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

    /// `GET /users/{id}/onlineMeetings?$filter=JoinWebUrl eq '…'`: the meeting behind a link, also behind a calendar
    /// event's.
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
        let (_, page): (_, Page) = self.fetch(cx, "find onlineMeeting", PERMISSION, request).await?;
        page.value.into_iter().next().ok_or_else(|| GraphError::NotFound { code: "no meeting has this link".into() })
    }
}
