//! A calendar event with an online meeting: made once by its transaction id, then read until it has its link.

use std::time::Duration;

use super::time::{utc, utc_without_offset};
use super::trouble::Trouble;
use super::{MadeAs, Meeting, MeetingOrder, Meetings, UserRef, window_of};
use crate::graph::{CalendarEvent, GraphError, NewEvent};
use crate::http::RequestContext;

/// Pauses before an event is read again, because not all of Graph's servers know it yet, or Teams has not filled in the
/// join URL yet.
const RE_READS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Pauses before an earlier click's event is looked for again: a calendar may show it late.
const SEARCHES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// How far around the wanted time an earlier click's event is looked for.
const SEARCH_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// Creates the event, or finds the one with the same transaction id.
pub(super) async fn calendar_event(
    graph: &impl Meetings,
    cx: &RequestContext,
    order: &MeetingOrder,
    organizer: &UserRef,
    policy_missing: bool,
) -> Result<Meeting, Trouble> {
    let user = organizer.as_str();
    let wanted = NewEvent {
        transaction_id: order.transaction_id(),
        subject: order.subject.clone(),
        start: utc_without_offset(order.window.start),
        end: utc_without_offset(order.window.end),
    };
    let (is_new, event) = match graph.create_event(cx, user, &wanted).await {
        Ok(event) => (true, event),
        Err(GraphError::DuplicateTransaction { existing: Some(id) }) => {
            (false, read_event(graph, cx, user, &id, true).await?)
        }
        Err(GraphError::DuplicateTransaction { existing: None }) => {
            (false, search(graph, cx, order, user, &wanted.transaction_id).await?)
        }
        Err(error) => return Err(error.into()),
    };
    joinable(graph, cx, order, organizer, event, is_new, policy_missing).await
}

/// Finds the event that an earlier click has created.
pub(super) async fn event_again(
    graph: &impl Meetings,
    cx: &RequestContext,
    order: &MeetingOrder,
    organizer: &UserRef,
    event_id: &str,
    is_young: bool,
) -> Result<Meeting, Trouble> {
    let event = match read_event(graph, cx, organizer.as_str(), event_id, is_young).await {
        // It was created a moment ago; a second event would have another link.
        Err(GraphError::NotFound { .. }) if is_young => return Err(Trouble::UrlPending),
        // The event does not exist; the organizer does.
        Err(GraphError::NotFound { .. }) => return Err(GraphError::DuplicateTransaction { existing: None }.into()),
        read => read?,
    };
    // The access policy may have come into effect since, so the lobby is tried.
    joinable(graph, cx, order, organizer, event, false, false).await
}

async fn read_event(
    graph: &impl Meetings,
    cx: &RequestContext,
    user: &str,
    event_id: &str,
    is_young: bool,
) -> Result<CalendarEvent, GraphError> {
    let mut pauses = if is_young { RE_READS.iter() } else { [].iter() };
    loop {
        match (graph.get_event(cx, user, event_id).await, next(cx, &mut pauses)) {
            (Err(GraphError::NotFound { .. }), Some(pause)) => tokio::time::sleep(pause).await,
            (read, _) => return read,
        }
    }
}

async fn search(
    graph: &impl Meetings,
    cx: &RequestContext,
    order: &MeetingOrder,
    user: &str,
    transaction_id: &str,
) -> Result<CalendarEvent, GraphError> {
    let around = order.window.widened(SEARCH_MARGIN);
    let between = (utc(around.start), utc(around.end));
    let mut pauses = SEARCHES.iter();
    loop {
        let found = graph.find_event(cx, user, transaction_id, (&between.0, &between.1)).await;
        match (found, next(cx, &mut pauses)) {
            (Err(GraphError::NotFound { .. }), Some(pause)) => tokio::time::sleep(pause).await,
            // The organizer exists; the event does not.
            (Err(GraphError::NotFound { .. }), None) => {
                return Err(GraphError::DuplicateTransaction { existing: None });
            }
            (found, _) => return found,
        }
    }
}

/// The next pause, if there is time for it.
fn next(cx: &RequestContext, pauses: &mut std::slice::Iter<'_, Duration>) -> Option<Duration> {
    pauses.next().copied().filter(|pause| *pause < cx.deadline.for_a_call())
}

/// Waits until the event has its join URL.
async fn joinable(
    graph: &impl Meetings,
    cx: &RequestContext,
    order: &MeetingOrder,
    organizer: &UserRef,
    mut event: CalendarEvent,
    is_new: bool,
    policy_missing: bool,
) -> Result<Meeting, Trouble> {
    let user = organizer.as_str();
    let mut pauses = RE_READS.iter();
    let join_url = loop {
        if event.is_downgraded() {
            // Without a meeting, the entry only clutters the organizer's calendar.
            if is_new {
                discard(graph, cx, user, &event.id).await;
            }
            return Err(Trouble::Downgraded);
        }
        if let Some(url) = event.join_url() {
            break url.to_owned();
        }
        match next(cx, &mut pauses) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(Trouble::UrlPending),
        }
        event = match graph.get_event(cx, user, &event.id).await {
            // It was created a moment ago, and not all of Graph's servers know it yet.
            Err(GraphError::NotFound { .. }) => event,
            read => read?,
        };
    };
    Ok(Meeting {
        join_url,
        organizer: organizer.clone(),
        organizer_fallback: false,
        made_as: MadeAs::CalendarEvent { policy_missing },
        window: window_of(event.start(), event.end(), order.window),
        id: event.id,
        is_new,
        in_place_of_another: false,
        notes: Vec::new(),
    })
}

/// Deletes an event of ours whose link nobody was given.
pub(super) async fn discard(graph: &impl Meetings, cx: &RequestContext, user: &str, event_id: &str) {
    if let Err(error) = graph.delete_event(cx, user, event_id).await {
        tracing::warn!(%error, "a calendar event without a meeting could not be deleted");
    }
}
