//! Opens the lobby: which participants wait in it and who may present is set after the meeting exists, because
//! `createOrGet` takes neither, and read back, because the organizer's meeting policy may overrule it.

use std::time::Duration;

use super::trouble::explain;
use super::{MadeAs, Meeting, MeetingMaker, MeetingSettings, Meetings, UserRef};
use crate::graph::{GraphError, LobbyBypassSettings, MeetingOptions, OnlineMeeting};
use crate::http::RequestContext;
use crate::telemetry::mask;

/// The state of the lobby, as Graph last reported it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lobby {
    /// Which participants bypass it, in Graph's words; empty when Graph did not say.
    pub scope: String,
    /// The reason for which the caller may have to wait, for a person.
    pub note: Option<String>,
    /// The organizer's object id, where it had to be looked up.
    pub organizer: Option<String>,
}

/// How long meeting and text message wait for the lobby: the agent wants to go in.
const LOBBY_PATIENCE: Duration = Duration::from_secs(6);

/// Pauses before a new meeting is read again, because not all of Graph's servers know it yet.
const OPTIONS_PAUSES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

impl<G: Meetings, N> MeetingMaker<'_, G, N> {
    /// Sets which participants bypass the lobby and who may present, and reads the result back. It never fails: a
    /// meeting with a lobby is better than no meeting, and the note says what to do.
    pub async fn open_lobby(&self, cx: &RequestContext, meeting: &Meeting) -> Lobby {
        match tokio::time::timeout(LOBBY_PATIENCE, open(self.graph, cx, self.settings, meeting)).await {
            Ok(lobby) => lobby,
            Err(_elapsed) => {
                cx.record.fallback("lobby");
                let note = "The caller may have to be let in: the lobby could not be set in time.";
                Lobby { note: Some(note.into()), ..Lobby::default() }
            }
        }
    }
}

async fn open(graph: &impl Meetings, cx: &RequestContext, settings: &MeetingSettings, meeting: &Meeting) -> Lobby {
    let found = match &meeting.made_as {
        MadeAs::OnlineMeeting(online) => Ok((meeting.organizer.as_str().to_owned(), online.as_ref().clone())),
        MadeAs::CalendarEvent { policy_missing: true } => {
            let note = "The caller may have to be let in: without the access policy the lobby cannot be set.";
            return Lobby { note: Some(note.into()), ..Lobby::default() };
        }
        MadeAs::CalendarEvent { policy_missing: false } => behind_event(graph, cx, meeting).await,
    };
    let (organizer, known, result) = match found {
        Ok((user_id, online)) => {
            let known = online.lobby_scope().unwrap_or_default().to_owned();
            let result = replicated(meeting, async || set(graph, cx, settings, &user_id, &online).await).await;
            (Some(user_id), known, result)
        }
        Err(error) => (None, String::new(), Err(error)),
    };
    let wanted = settings.lobby_scope.as_str();
    match result {
        Ok(online) => {
            let scope = online.lobby_scope().unwrap_or_default().to_owned();
            let note = (scope != wanted).then(|| {
                format!(
                    "The lobby was asked to let in {wanted} and stays at {}: the organizer's Teams meeting policy decides.",
                    if scope.is_empty() { "an unknown setting" } else { &scope },
                )
            });
            Lobby { scope, note, organizer }
        }
        Err(error) => {
            cx.record.fallback("lobby");
            let why = match error {
                // The meeting exists; its options are not known everywhere yet.
                GraphError::NotFound { .. } => "Microsoft Graph does not know the meeting's options yet.".into(),
                error => {
                    let why = explain(error, &meeting.organizer);
                    let cause = why.cause.as_deref().map(mask);
                    tracing::warn!(code = %why.code, cause, "the lobby could not be set");
                    why.message
                }
            };
            let note = format!("The caller may have to be let in: the lobby could not be set. {why}");
            Lobby { scope: known, note: Some(note), organizer }
        }
    }
}

/// Calls again while not all of Graph's servers know a new meeting.
async fn replicated<T>(meeting: &Meeting, ask: impl AsyncFn() -> Result<T, GraphError>) -> Result<T, GraphError> {
    let mut pauses = if meeting.is_new { OPTIONS_PAUSES.iter() } else { [].iter() };
    loop {
        match (ask().await, pauses.next()) {
            (Err(GraphError::NotFound { .. }), Some(pause)) => tokio::time::sleep(*pause).await,
            (answer, _) => return answer,
        }
    }
}

async fn set(
    graph: &impl Meetings,
    cx: &RequestContext,
    settings: &MeetingSettings,
    user_id: &str,
    online: &OnlineMeeting,
) -> Result<OnlineMeeting, GraphError> {
    let (scope, presenters) = (settings.lobby_scope.as_str(), settings.presenters.as_str());
    if online.lobby_scope() == Some(scope) && online.allowed_presenters.as_deref() == Some(presenters) {
        // On a repetition, or where the tenant's default is what is wanted, a call is saved.
        return Ok(online.clone());
    }
    let options = MeetingOptions {
        lobby_bypass_settings: LobbyBypassSettings {
            scope: scope.into(),
            is_dial_in_bypass_enabled: scope == "everyone",
        },
        allowed_presenters: presenters.into(),
    };
    let updated = graph.update_online_meeting(cx, user_id, &online.id, &options).await?;
    if updated.lobby_scope().is_some() {
        return Ok(updated);
    }
    graph.get_online_meeting(cx, user_id, &online.id).await
}

/// The online meeting of a calendar event, found by its link.
async fn behind_event(
    graph: &impl Meetings,
    cx: &RequestContext,
    meeting: &Meeting,
) -> Result<(String, OnlineMeeting), GraphError> {
    let user_id = match &meeting.organizer {
        UserRef::ObjectId(id) => id.clone(),
        UserRef::Upn(upn) => graph.get_object_id(cx, upn).await?,
    };
    let find = async || graph.find_online_meeting(cx, &user_id, &meeting.join_url).await;
    let online = replicated(meeting, find).await?;
    Ok((user_id, online))
}
