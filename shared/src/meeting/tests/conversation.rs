//! What one conversation's clicks lead to, whatever has changed between them.

use jiff::SignedDuration;

use super::*;
use crate::fields::ConversationId;
use crate::store::meetings::{MeetingNote, MeetingNotes, MemoryMeetingNotes, note_key};
use crate::store::{RecordKey, StoreError};

const COLLEAGUE: &str = "99999999-2222-3333-4444-555555555555";

fn conversation() -> ConversationId {
    "c-1".parse().unwrap()
}

async fn create_once(
    graph: &Graph,
    notes: &impl MeetingNotes,
    cx: &RequestContext,
    order: &MeetingOrder,
    conversation: Option<&ConversationId>,
) -> Result<Meeting, Error> {
    MeetingMaker { graph, notes, settings: &settings() }.create_once(cx, order, conversation).await
}

async fn click(graph: &Graph, notes: &impl MeetingNotes, agent: &str) -> Result<Meeting, Error> {
    create_once(graph, notes, &context(20), &order(Mode::Auto, &[agent]), Some(&conversation())).await
}

fn other_event() -> CalendarEvent {
    serde_json::from_value(json!({
        "id": "event-2", "isOnlineMeeting": true, "onlineMeeting": {"joinUrl": "https://teams.microsoft.com/l/2"},
    }))
    .unwrap()
}

/// A note as it stands in the table.
async fn noted(notes: &MemoryMeetingNotes) -> MeetingNote {
    notes.read(&context(10), &note_key("c-1"), jiff::Timestamp::now()).await.unwrap().unwrap()
}

/// The note is older than what Graph may not know yet.
async fn ripen(notes: &MemoryMeetingNotes) {
    let note = noted(notes).await;
    let old = MeetingNote { noted: note.noted - SignedDuration::from_mins(5), ..note.clone() };
    notes.keep(&context(10), &note_key("c-1"), &old, Some(&note), note.noted).await.unwrap();
}

#[tokio::test]
async fn a_colleague_finds_the_first_agent_s_meeting_in_one_call() {
    let (graph, notes) = (Graph::default(), MemoryMeetingNotes::default());
    *graph.meetings.0.lock().unwrap() = VecDeque::from([Ok((true, online())), Ok((false, online()))]);
    let first = click(&graph, &notes, AGENT).await.unwrap();
    let second = click(&graph, &notes, COLLEAGUE).await.unwrap();
    assert_eq!(
        (second.code(), &second.join_url, &second.organizer),
        (Code::EXISTING, &first.join_url, &first.organizer)
    );
    assert_eq!(graph.asked(), [format!("createOrGet {AGENT}"), format!("createOrGet {AGENT}")]);
    // Nothing in the note leads into the meeting by itself.
    assert!(!format!("{:?}", noted(&notes).await).contains("https"));
}

#[tokio::test]
async fn an_event_stays_the_meeting_when_the_policy_comes_into_effect() {
    let graph = Graph {
        meetings: answers([Err(POLICY_MISSING)]),
        events: answers([Ok(event())]),
        event_reads: answers([Ok(event())]),
        found: answers([Ok(online())]),
        updates: answers([Ok(online_with_options("everyone", "organization"))]),
        ..Graph::default()
    };
    let notes = MemoryMeetingNotes::default();
    let first = click(&graph, &notes, AGENT).await.unwrap();
    let second = click(&graph, &notes, AGENT).await.unwrap();
    assert_eq!((second.code(), &second.join_url), (Code::EXISTING, &first.join_url));
    // And its lobby, which was out of reach, is opened now.
    assert_eq!(open_lobby(&graph, &context(10), &second).await.scope, "everyone");
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_some_servers_do_not_know_yet_is_asked_for_again() {
    let graph = Graph {
        meetings: answers([Ok((true, online())), Err(POLICY_MISSING), Err(POLICY_MISSING), Ok((false, online()))]),
        ..Graph::default()
    };
    let notes = MemoryMeetingNotes::default();
    click(&graph, &notes, AGENT).await.unwrap();
    assert_eq!(click(&graph, &notes, AGENT).await.unwrap().code(), Code::EXISTING);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_known_everywhere_is_waited_for_and_never_made_twice() {
    let late = || Err(not_found());
    let graph = Graph {
        meetings: answers([Err(POLICY_MISSING)]),
        events: answers([Ok(event())]),
        event_reads: answers([late(), Ok(event()), late(), late(), late(), late()]),
        ..Graph::default()
    };
    let notes = MemoryMeetingNotes::default();
    click(&graph, &notes, AGENT).await.unwrap();
    assert_eq!(click(&graph, &notes, COLLEAGUE).await.unwrap().code(), Code::EXISTING);
    let error = click(&graph, &notes, COLLEAGUE).await.unwrap_err();
    assert_eq!((error.code, error.code.retryable()), (Code::MEETING_URL_PENDING, true));
}

#[tokio::test]
async fn a_meeting_that_is_gone_is_replaced_and_the_answer_says_that_the_link_is_another() {
    let graph = Graph {
        meetings: answers([Err(POLICY_MISSING), Err(POLICY_MISSING)]),
        events: answers([Ok(event()), Ok(other_event())]),
        event_reads: answers([Err(not_found()), Ok(other_event())]),
        ..Graph::default()
    };
    let notes = MemoryMeetingNotes::default();
    click(&graph, &notes, AGENT).await.unwrap();
    ripen(&notes).await;
    let second = click(&graph, &notes, AGENT).await.unwrap();
    let told = second.other_link(&Lobby::default()).unwrap();
    assert_eq!((told.code, second.id.as_str()), (Code::OTHER_LINK, "event-2"));
    assert!(told.message.contains("Was it deleted?"), "{}", told.message);
    let transactions = graph.transactions.lock().unwrap().clone();
    assert_ne!(transactions[0], transactions[1], "Exchange may remember the first, and refuse it");
    // From then on that one is the conversation's.
    let third = click(&graph, &notes, COLLEAGUE).await.unwrap();
    assert_eq!((third.code(), third.other_link(&Lobby::default()).is_none()), (Code::EXISTING, true));
}

#[tokio::test]
async fn what_may_pass_by_itself_leads_to_no_second_meeting() {
    let unavailable = GraphError::Unavailable { status: 503, code: String::new() };
    let graph = Graph { meetings: answers([Ok((true, online())), Err(unavailable)]), ..Graph::default() };
    let notes = MemoryMeetingNotes::default();
    click(&graph, &notes, AGENT).await.unwrap();
    assert_eq!(click(&graph, &notes, COLLEAGUE).await.unwrap_err().code, Code::GRAPH_UNAVAILABLE);
}

/// Notes whose first read comes before any other click's note, as with two clicks at the same moment.
struct ReadTooEarly(MemoryMeetingNotes);

impl MeetingNotes for ReadTooEarly {
    async fn read(
        &self,
        _: &RequestContext,
        _: &RecordKey,
        _: jiff::Timestamp,
    ) -> Result<Option<MeetingNote>, StoreError> {
        Ok(None)
    }

    async fn keep(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        note: &MeetingNote,
        replaced: Option<&MeetingNote>,
        now: jiff::Timestamp,
    ) -> Result<MeetingNote, StoreError> {
        // The first answer gets lost, and the put is sent again.
        self.0.keep(cx, key, note, replaced, now).await?;
        self.0.keep(cx, key, note, replaced, now).await
    }
}

#[tokio::test]
async fn of_two_clicks_at_the_same_moment_the_second_takes_the_first_one_s_meeting_and_leaves_no_litter() {
    let graph = Graph {
        meetings: answers([Ok((true, online())), Err(POLICY_MISSING), Ok((false, online()))]),
        events: answers([Ok(event())]),
        deletions: answers([Ok(())]),
        ..Graph::default()
    };
    let notes = ReadTooEarly(MemoryMeetingNotes::default());
    let first = click(&graph, &notes, AGENT).await.unwrap();
    let second = click(&graph, &notes, COLLEAGUE).await.unwrap();
    assert_eq!((first.code(), second.code()), (Code::CREATED, Code::EXISTING));
    assert_eq!((second.organizer, second.join_url), (first.organizer, first.join_url));
    assert_eq!(graph.asked().last().unwrap(), &format!("delete event {COLLEAGUE}"));
}

struct BrokenNotes;

impl MeetingNotes for BrokenNotes {
    async fn read(
        &self,
        _: &RequestContext,
        _: &RecordKey,
        _: jiff::Timestamp,
    ) -> Result<Option<MeetingNote>, StoreError> {
        Err(StoreError("down".into()))
    }

    async fn keep(
        &self,
        _: &RequestContext,
        _: &RecordKey,
        _: &MeetingNote,
        _: Option<&MeetingNote>,
        _: jiff::Timestamp,
    ) -> Result<MeetingNote, StoreError> {
        Err(StoreError("down".into()))
    }
}

#[tokio::test]
async fn without_the_table_there_is_a_meeting_all_the_same() {
    let graph = Graph { meetings: answers([Ok((true, online()))]), ..Graph::default() };
    assert_eq!(click(&graph, &BrokenNotes, AGENT).await.unwrap().code(), Code::CREATED);
}

#[tokio::test]
async fn without_a_conversation_nothing_is_noted() {
    let graph = Graph { meetings: answers([Ok((true, online()))]), ..Graph::default() };
    let order = order(Mode::Auto, &[AGENT]);
    create_once(&graph, &BrokenNotes, &context(10), &order, None).await.unwrap();
    assert_eq!(graph.asked().len(), 1);
}

#[tokio::test]
async fn the_default_organizer_s_meeting_stays_the_conversation_s() {
    let (graph, notes) = (Graph::default(), MemoryMeetingNotes::default());
    *graph.meetings.0.lock().unwrap() = VecDeque::from([Err(not_found()), Ok((true, online())), Ok((false, online()))]);
    let order = order(Mode::OnlineMeeting, &[AGENT, COLLEAGUE]);
    let first = create_once(&graph, &notes, &context(10), &order, Some(&conversation())).await.unwrap();
    let second = click(&graph, &notes, AGENT).await.unwrap();
    assert!(first.organizer_fallback && second.organizer_fallback);
    assert_eq!((second.code(), second.organizer.as_str()), (Code::EXISTING, COLLEAGUE));
}
