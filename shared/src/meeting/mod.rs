//! From one click to a join URL.
//!
//! An online meeting is tried first: it leaves no calendar entry, and Graph recognises a repetition by itself. Where
//! the Teams application access policy is missing, a calendar event of the same organizer is made; where the organizer
//! does not exist or cannot organize, the default organizer takes over. The answer tells of each fallback.
//!
//! A conversation has one meeting, whichever agent asks for it: the first meeting is noted in the state table, and
//! every later click finds it.
//!
//! Creating a meeting and opening its lobby are two methods of [`MeetingMaker`], so that the text message need not wait
//! for the lobby.

mod answer;
mod calendar;
mod conversation;
mod lobby;
mod order;
pub mod time;
mod trouble;

pub use answer::MeetingFields;
pub use lobby::Lobby;
pub use order::{LobbyScope, MeetingOrder, MeetingSettings, Mode, Presenters, UserRef};

use crate::error::{Code, Error};
use crate::graph::{CalendarEvents, GraphError, NewOnlineMeeting, OnlineMeeting, OnlineMeetings, UserDirectory};
use crate::http::RequestContext;
use calendar::calendar_event;
use time::{TimeWindow, from_graph, utc};
use trouble::Trouble;

/// The operations of Microsoft Graph that making a meeting needs.
pub trait Meetings: OnlineMeetings + CalendarEvents + UserDirectory {}

impl<G: OnlineMeetings + CalendarEvents + UserDirectory> Meetings for G {}

/// Makes a conversation's meeting and opens its lobby.
#[derive(Debug)]
pub struct MeetingMaker<'a, G, N> {
    /// The client of Microsoft Graph.
    pub graph: &'a G,
    /// The notes of which meeting was made for a conversation, in the state table.
    pub notes: &'a N,
    /// The deployment's settings for meetings.
    pub settings: &'a MeetingSettings,
}

/// A meeting that has a join URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// The URL by which participants join. Never empty.
    pub join_url: String,
    /// Graph's id of the meeting or of the calendar event.
    pub id: String,
    /// The user who organizes it.
    pub organizer: UserRef,
    /// Whether the default organizer replaced the one asked for.
    pub organizer_fallback: bool,
    /// The way in which it was made.
    pub made_as: MadeAs,
    /// Its start and end. For a meeting that was found again, as the first request set them.
    pub window: TimeWindow,
    /// Whether this request created it.
    pub is_new: bool,
    /// Whether it was made although an earlier click of the conversation had led to another meeting, which is out of
    /// reach now.
    pub in_place_of_another: bool,
    /// Each fallback that was used, with its reason, for a person.
    pub notes: Vec<String>,
}

/// How a meeting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeAs {
    /// As an online meeting, as Graph returned it.
    OnlineMeeting(Box<OnlineMeeting>),
    /// As a calendar event with an online meeting.
    CalendarEvent {
        /// Whether the access policy is known to be missing, so that the meeting's options are out of reach.
        policy_missing: bool,
    },
}

/// Creates the meeting, or finds the one with the same organizer and external id.
///
/// # Errors
/// The reason for which there is no join URL, with the remedy.
async fn create(graph: &impl Meetings, cx: &RequestContext, order: &MeetingOrder) -> Result<Meeting, Error> {
    let mut notes = Vec::new();
    let last = order.organizers.len().saturating_sub(1);
    for (index, organizer) in order.organizers.iter().enumerate() {
        let trouble = match organize(graph, cx, order, organizer).await {
            Ok(meeting) => {
                notes.extend(meeting.notes);
                return Ok(Meeting { organizer_fallback: index > 0, notes, ..meeting });
            }
            Err(trouble) => trouble,
        };
        let concerns_organizer = trouble.concerns_organizer();
        let error = trouble.into_error(organizer);
        if !concerns_organizer || index == last {
            return Err(and_before_that(error, &notes));
        }
        cx.record.fallback(error.code.text());
        notes.push(format!("The default organizer stands in. {}", error.message));
    }
    Err(Error::new(Code::INTERNAL, "The meeting has no organizer."))
}

fn and_before_that(mut error: Error, notes: &[String]) -> Error {
    for note in notes {
        error.message = format!("{} Before that: {note}", error.message);
    }
    error
}

async fn organize(
    graph: &impl Meetings,
    cx: &RequestContext,
    order: &MeetingOrder,
    organizer: &UserRef,
) -> Result<Meeting, Trouble> {
    if order.mode == Mode::CalendarEvent {
        return calendar_event(graph, cx, order, organizer, false).await;
    }
    let user_id = match organizer {
        UserRef::ObjectId(id) => id.clone(),
        UserRef::Upn(upn) => graph.get_object_id(cx, upn).await?,
    };
    let organizer = &UserRef::ObjectId(user_id);
    match online_meeting(graph, cx, order, organizer).await {
        Err(Trouble::Graph(GraphError::AccessPolicyMissing)) if order.mode == Mode::Auto => {
            let reason = Trouble::Graph(GraphError::AccessPolicyMissing);
            cx.record.fallback(Code::ACCESS_POLICY_MISSING.text());
            match calendar_event(graph, cx, order, organizer, true).await {
                Ok(mut meeting) => {
                    let why = reason.into_error(organizer).message;
                    meeting.notes.push(format!("A calendar event was made in place of an online meeting. {why}"));
                    Ok(meeting)
                }
                // The policy is what must be corrected; that the fallback failed too is added.
                Err(second) if second.concerns_organizer() => Err(Trouble::NeitherWay(Box::new(second))),
                Err(second) => Err(second),
            }
        }
        result => result,
    }
}

async fn online_meeting(
    graph: &impl Meetings,
    cx: &RequestContext,
    order: &MeetingOrder,
    organizer: &UserRef,
) -> Result<Meeting, Trouble> {
    let wanted = NewOnlineMeeting {
        external_id: order.external_id.clone(),
        start_date_time: utc(order.window.start),
        end_date_time: utc(order.window.end),
        subject: order.subject.clone(),
    };
    let (is_new, online) = graph.create_or_get_online_meeting(cx, organizer.as_str(), &wanted).await?;
    let join_url = online.join_web_url.clone().filter(|url| !url.is_empty()).ok_or(Trouble::UrlPending)?;
    Ok(Meeting {
        join_url,
        id: online.id.clone(),
        organizer: organizer.clone(),
        organizer_fallback: false,
        window: window_of(online.start_date_time.as_deref(), online.end_date_time.as_deref(), order.window),
        made_as: MadeAs::OnlineMeeting(Box::new(online)),
        is_new,
        in_place_of_another: false,
        notes: Vec::new(),
    })
}

/// Start and end as Graph reports them, or as ordered where Graph's cannot be read.
fn window_of(start: Option<&str>, end: Option<&str>, ordered: TimeWindow) -> TimeWindow {
    TimeWindow {
        start: start.and_then(from_graph).unwrap_or(ordered.start),
        end: end.and_then(from_graph).unwrap_or(ordered.end),
    }
}

#[cfg(test)]
mod tests;
