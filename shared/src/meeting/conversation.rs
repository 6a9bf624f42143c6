//! One conversation, one meeting: the first one, whichever agent asks for it later and whatever has changed meanwhile.
//!
//! The meeting of the first click is noted in the [`store`](crate::store::meetings), before its link can reach anybody.
//! A later click reads that note first. Only where the noted meeting is out of reach (deleted, its organizer gone, the
//! policy withdrawn) another one is made in its place, and the answer says so.

use std::future::Future;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::calendar::{discard, event_again};
use super::trouble::Trouble;
use super::{MadeAs, Meeting, MeetingMaker, MeetingOrder, Meetings, UserRef, create, online_meeting};
use crate::error::Error;
use crate::fields::ConversationId;
use crate::graph::GraphError;
use crate::http::RequestContext;
use crate::store::meetings::{MeetingNote, MeetingNotes, NOTE_LIFE, note_key};
use crate::store::{RecordKey, StoreError};

/// How long the state table may take. A meeting without a note is better than an agent without a meeting.
const NOTE_PATIENCE: Duration = Duration::from_secs(3);

/// For this long after its creation, a meeting that Graph does not find may just not be known everywhere yet.
const NEW_MEETING: SignedDuration = SignedDuration::from_mins(1);

/// Pauses before an organizer whose policy was in effect before is asked for again: while a policy spreads, Teams'
/// servers answer differently.
const POLICY_SPREADS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

impl<G: Meetings, N: MeetingNotes> MeetingMaker<'_, G, N> {
    /// Makes the conversation's meeting, or finds the one that an earlier click of any agent has made. Without a
    /// conversation, every request makes a meeting of its own.
    ///
    /// # Errors
    /// The reason for which there is no join URL, with the remedy.
    pub async fn create_once(
        &self,
        cx: &RequestContext,
        order: &MeetingOrder,
        conversation: Option<&ConversationId>,
    ) -> Result<Meeting, Error> {
        let Self { graph, notes, .. } = *self;
        let Some(conversation) = conversation else { return create(graph, cx, order).await };
        let key = note_key(conversation.as_str());
        let known = match in_time(notes.read(cx, &key, Timestamp::now())).await {
            Ok(known) => known,
            Err(error) => {
                cx.record.fallback("meetingNote");
                tracing::warn!(%error, "whether the conversation has a meeting already could not be looked up");
                return create(graph, cx, order).await;
            }
        };
        let Some(known) = known else {
            let meeting = create(graph, cx, order).await?;
            return agree(graph, notes, cx, order, (&key, None), meeting).await;
        };
        let out_of_reach = match find(graph, cx, order, &known).await {
            Ok(meeting) => return Ok(meeting),
            Err(trouble) if trouble.concerns_organizer() => trouble,
            Err(trouble) => return Err(trouble.into_error(&organizer(&known))),
        };
        let why = out_of_reach.into_error(&organizer(&known));
        cx.record.fallback(why.code.text());
        let order = MeetingOrder { gone_event: known.event_id.clone(), ..order.clone() };
        let mut meeting = create(graph, cx, &order).await?;
        meeting.notes.insert(0, format!("The first meeting of this conversation is out of reach. {}", why.message));
        let meeting = agree(graph, notes, cx, &order, (&key, Some(&known)), meeting).await?;
        Ok(Meeting { in_place_of_another: true, ..meeting })
    }
}

/// Notes the meeting as the conversation's. If another click's meeting was noted meanwhile, that one is used.
async fn agree(
    graph: &impl Meetings,
    notes: &impl MeetingNotes,
    cx: &RequestContext,
    order: &MeetingOrder,
    (key, replaced): (&RecordKey, Option<&MeetingNote>),
    meeting: Meeting,
) -> Result<Meeting, Error> {
    let note = note_of(&meeting);
    let kept = match in_time(notes.keep(cx, key, &note, replaced, note.noted)).await {
        Ok(kept) => kept,
        Err(error) => {
            cx.record.fallback("meetingNote");
            tracing::warn!(%error, "the conversation's meeting could not be noted");
            return Ok(meeting);
        }
    };
    if kept.mark == note.mark || kept.is_same_meeting(&note) {
        return Ok(meeting);
    }
    let first = find(graph, cx, order, &kept).await.map_err(|trouble| trouble.into_error(&organizer(&kept)))?;
    if meeting.is_new && matches!(meeting.made_as, MadeAs::CalendarEvent { .. }) {
        discard(graph, cx, meeting.organizer.as_str(), &meeting.id).await;
    }
    Ok(first)
}

/// Finds the meeting that is noted.
async fn find(
    graph: &impl Meetings,
    cx: &RequestContext,
    order: &MeetingOrder,
    known: &MeetingNote,
) -> Result<Meeting, Trouble> {
    let organizer = organizer(known);
    let is_young = Timestamp::now().duration_since(known.noted) < NEW_MEETING;
    let found = match &known.event_id {
        Some(id) => event_again(graph, cx, order, &organizer, id, is_young).await?,
        None => {
            let mut pauses = POLICY_SPREADS.into_iter();
            loop {
                let found = online_meeting(graph, cx, order, &organizer).await;
                let spreads = matches!(found, Err(Trouble::Graph(GraphError::AccessPolicyMissing)));
                let pause = pauses.next().filter(|pause| spreads && *pause < cx.deadline.for_a_call());
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => break found?,
                }
            }
        }
    };
    // Graph makes an online meeting anew when it was deleted.
    let in_place_of_another = found.is_new;
    Ok(Meeting { organizer_fallback: known.organizer_fallback, in_place_of_another, ..found })
}

fn organizer(known: &MeetingNote) -> UserRef {
    known.organizer.parse().unwrap_or_else(|_| UserRef::Upn(known.organizer.clone()))
}

fn note_of(meeting: &Meeting) -> MeetingNote {
    let noted = Timestamp::now();
    MeetingNote {
        mark: Uuid::new_v4().to_string(),
        organizer: meeting.organizer.as_str().to_owned(),
        organizer_fallback: meeting.organizer_fallback,
        event_id: match meeting.made_as {
            MadeAs::OnlineMeeting(_) => None,
            MadeAs::CalendarEvent { .. } => Some(meeting.id.clone()),
        },
        noted,
        expires: noted.max(meeting.window.end).checked_add(NOTE_LIFE).unwrap_or(Timestamp::MAX),
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(NOTE_PATIENCE, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(StoreError("no answer in time".into())),
    }
}
