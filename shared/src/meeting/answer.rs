//! The answer to a meeting request: its fields, its code and its text.

use serde::Serialize;

use super::time::utc;
use super::{Lobby, MadeAs, Meeting, UserRef};
use crate::error::{Code, Error};

/// The fields of `POST /meetings`, and most of those of `POST /escalations`. All of them are always present; an unknown
/// one is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeetingFields {
    /// The URL by which participants join.
    pub join_url: String,
    /// Graph's id of the meeting, or of the calendar event.
    pub meeting_id: String,
    /// The organizer's object id.
    pub organizer: String,
    /// Whether the default organizer replaced the one asked for.
    pub organizer_fallback: bool,
    /// The way it was made: `online-meeting` or `calendar-event`.
    pub mode: String,
    /// The start, in UTC.
    pub start_time: String,
    /// The end, in UTC.
    pub end_time: String,
    /// Which participants bypass the lobby, as Graph reported it.
    pub lobby: String,
    /// The join URL once more, for flows built on the published blueprint.
    pub online_meeting: BlueprintMeeting,
}

/// The one nested object of an answer: the blueprint's output contract.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlueprintMeeting {
    /// The URL by which participants join.
    pub join_url: String,
}

impl MeetingFields {
    /// The fields of this meeting.
    #[must_use]
    pub fn of(meeting: &Meeting, lobby: &Lobby) -> Self {
        Self {
            join_url: meeting.join_url.clone(),
            meeting_id: meeting.id.clone(),
            organizer: match &meeting.organizer {
                UserRef::ObjectId(id) => id.clone(),
                // A calendar event is made by the user's name; the id was only needed for its lobby.
                UserRef::Upn(_) => lobby.organizer.clone().unwrap_or_default(),
            },
            organizer_fallback: meeting.organizer_fallback,
            mode: match meeting.made_as {
                MadeAs::OnlineMeeting(_) => "online-meeting",
                MadeAs::CalendarEvent { .. } => "calendar-event",
            }
            .into(),
            start_time: utc(meeting.window.start),
            end_time: utc(meeting.window.end),
            lobby: lobby.scope.clone(),
            online_meeting: BlueprintMeeting { join_url: meeting.join_url.clone() },
        }
    }
}

impl Meeting {
    /// The answer's code: `created` or `existing`.
    #[must_use]
    pub fn code(&self) -> Code {
        if self.is_new { Code::CREATED } else { Code::EXISTING }
    }

    /// The error when this is not the meeting whose link the customer may have. For a route that does not send the link
    /// itself.
    #[must_use]
    pub fn other_link(&self, lobby: &Lobby) -> Option<Error> {
        let what = "An earlier click of this conversation led to another meeting, which is out of reach. Send this link to \
                    whoever has the first one: POST /sms does it with resend set to true.";
        self.in_place_of_another.then(|| Error::new(Code::OTHER_LINK, format!("{what} {}", self.message(lobby))))
    }

    /// The text for a person: that the meeting exists, and each fallback that was used.
    #[must_use]
    pub fn message(&self, lobby: &Lobby) -> String {
        let what = if self.is_new { "The meeting was created." } else { "The meeting of this conversation was found." };
        let notes = self.notes.iter().chain(&lobby.note).map(String::as_str);
        std::iter::once(what).chain(notes).collect::<Vec<_>>().join(" ")
    }
}
