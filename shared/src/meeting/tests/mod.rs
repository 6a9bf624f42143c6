mod conversation;

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::Environment;
use crate::graph::{CalendarEvent, MeetingOptions, NewEvent};
use crate::http::NoReply;
use crate::remote::context;
use crate::store::meetings::MemoryMeetingNotes;

const AGENT: &str = "11111111-2222-3333-4444-555555555555";
const LINK: &str = "https://teams.microsoft.com/l/meetup-join/x";

/// Graph, answering each operation from its own queue; an empty queue fails the test.
#[derive(Default)]
struct Graph {
    object_ids: Answers<String>,
    meetings: Answers<(bool, OnlineMeeting)>,
    updates: Answers<OnlineMeeting>,
    reads: Answers<OnlineMeeting>,
    found: Answers<OnlineMeeting>,
    events: Answers<CalendarEvent>,
    event_reads: Answers<CalendarEvent>,
    found_events: Answers<CalendarEvent>,
    deletions: Answers<()>,
    asked: Mutex<Vec<String>>,
    transactions: Mutex<Vec<String>>,
}

struct Answers<T>(Mutex<VecDeque<Result<T, GraphError>>>);

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

fn answers<T>(all: impl IntoIterator<Item = Result<T, GraphError>>) -> Answers<T> {
    Answers(Mutex::new(all.into_iter().collect()))
}

impl Graph {
    fn next<T>(&self, operation: &str, user: &str, answers: &Answers<T>) -> Result<T, GraphError> {
        self.asked.lock().unwrap().push(format!("{operation} {user}"));
        let next = answers.0.lock().unwrap().pop_front();
        next.unwrap_or_else(|| panic!("nobody expects {operation} {user}"))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl UserDirectory for Graph {
    async fn get_object_id(&self, _: &RequestContext, upn: &str) -> Result<String, GraphError> {
        self.next("get user", upn, &self.object_ids)
    }
}

impl OnlineMeetings for Graph {
    async fn create_or_get_online_meeting(
        &self,
        _: &RequestContext,
        user: &str,
        _: &NewOnlineMeeting,
    ) -> Result<(bool, OnlineMeeting), GraphError> {
        self.next("createOrGet", user, &self.meetings)
    }
    async fn update_online_meeting(
        &self,
        _: &RequestContext,
        user: &str,
        _: &str,
        _: &MeetingOptions,
    ) -> Result<OnlineMeeting, GraphError> {
        self.next("update", user, &self.updates)
    }
    async fn get_online_meeting(&self, _: &RequestContext, user: &str, _: &str) -> Result<OnlineMeeting, GraphError> {
        self.next("read", user, &self.reads)
    }
    async fn find_online_meeting(&self, _: &RequestContext, user: &str, _: &str) -> Result<OnlineMeeting, GraphError> {
        self.next("find", user, &self.found)
    }
}

impl CalendarEvents for Graph {
    async fn create_event(
        &self,
        _: &RequestContext,
        user: &str,
        event: &NewEvent,
    ) -> Result<CalendarEvent, GraphError> {
        self.transactions.lock().unwrap().push(event.transaction_id.clone());
        self.next("create event", user, &self.events)
    }
    async fn get_event(&self, _: &RequestContext, user: &str, _: &str) -> Result<CalendarEvent, GraphError> {
        self.next("read event", user, &self.event_reads)
    }
    async fn delete_event(&self, _: &RequestContext, user: &str, _: &str) -> Result<(), GraphError> {
        self.next("delete event", user, &self.deletions)
    }
    async fn find_event(
        &self,
        _: &RequestContext,
        user: &str,
        _: &str,
        _: (&str, &str),
    ) -> Result<CalendarEvent, GraphError> {
        self.next("find event", user, &self.found_events)
    }
}

fn online_with(more: Value) -> OnlineMeeting {
    let mut meeting = json!({
        "id": "meeting-1", "joinWebUrl": LINK,
        "startDateTime": "2026-05-04T10:00:00Z", "endDateTime": "2026-05-04T11:00:00Z",
    });
    meeting.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(meeting).unwrap()
}

fn online() -> OnlineMeeting {
    online_with(json!({}))
}

fn online_with_options(scope: &str, presenters: &str) -> OnlineMeeting {
    online_with(json!({"lobbyBypassSettings": {"scope": scope}, "allowedPresenters": presenters}))
}

fn event_with(online: bool, meeting: Value) -> CalendarEvent {
    serde_json::from_value(json!({"id": "event-1", "isOnlineMeeting": online, "onlineMeeting": meeting})).unwrap()
}

fn event() -> CalendarEvent {
    event_with(true, json!({"joinUrl": LINK}))
}

fn pending_event() -> CalendarEvent {
    event_with(true, json!(null))
}

fn downgraded_event() -> CalendarEvent {
    event_with(false, json!(null))
}

fn settings() -> MeetingSettings {
    MeetingSettings::read(&mut Environment::of::<&str, &str>([])).unwrap()
}

fn order(mode: Mode, organizers: &[&str]) -> MeetingOrder {
    let start = "2026-05-04T10:00:00Z".parse().unwrap();
    MeetingOrder {
        organizers: organizers.iter().map(|user| user.parse().unwrap()).collect(),
        window: TimeWindow::lasting(start, Duration::from_secs(3600)).unwrap(),
        subject: "Customer call".into(),
        external_id: "c-1".into(),
        gone_event: None,
        mode,
    }
}

fn not_found() -> GraphError {
    GraphError::NotFound { code: "Request_ResourceNotFound".into() }
}

fn no_mailbox_permission() -> GraphError {
    GraphError::PermissionMissing { permission: "Calendars.ReadWrite", status: 403, code: "ErrorAccessDenied".into() }
}

async fn open_lobby(graph: &Graph, cx: &RequestContext, meeting: &Meeting) -> Lobby {
    let (notes, settings) = (MemoryMeetingNotes::default(), settings());
    MeetingMaker { graph, notes: &notes, settings: &settings }.open_lobby(cx, meeting).await
}

const POLICY_MISSING: GraphError = GraphError::AccessPolicyMissing;

#[tokio::test]
async fn an_object_id_needs_no_look_up_and_a_new_meeting_takes_one_call() {
    let graph = Graph { meetings: answers([Ok((true, online()))]), ..Graph::default() };
    let meeting = create(&graph, &context(10), &order(Mode::Auto, &[AGENT])).await.unwrap();
    assert_eq!((meeting.code(), meeting.join_url.as_str()), (Code::CREATED, LINK));
    assert_eq!(graph.asked(), [format!("createOrGet {AGENT}")]);
}

#[tokio::test]
async fn a_name_is_looked_up_and_a_repetition_is_the_same_meeting() {
    let graph = Graph {
        object_ids: answers([Ok(AGENT.into())]),
        meetings: answers([Ok((false, online()))]),
        ..Graph::default()
    };
    let meeting = create(&graph, &context(10), &order(Mode::OnlineMeeting, &["kim@contoso.com"])).await.unwrap();
    assert_eq!((meeting.code(), meeting.organizer), (Code::EXISTING, UserRef::ObjectId(AGENT.into())));
}

#[tokio::test]
async fn a_missing_access_policy_leads_to_a_calendar_event_of_the_same_organizer() {
    let graph = Graph { meetings: answers([Err(POLICY_MISSING)]), events: answers([Ok(event())]), ..Graph::default() };
    let cx = context(10);
    let meeting = create(&graph, &cx, &order(Mode::Auto, &[AGENT, "bridge@contoso.com"])).await.unwrap();
    assert!(!meeting.organizer_fallback);
    assert_eq!(meeting.made_as, MadeAs::CalendarEvent { policy_missing: true });
    let lobby = open_lobby(&graph, &cx, &meeting).await;
    assert_eq!(graph.asked(), [format!("createOrGet {AGENT}"), format!("create event {AGENT}")]);
    insta::assert_snapshot!(meeting.message(&lobby));
}

#[tokio::test]
async fn when_neither_way_is_open_the_default_organizer_stands_in() {
    for second in [Err(no_mailbox_permission()), Err(not_found()), Ok(downgraded_event())] {
        let graph = Graph {
            meetings: answers([Err(POLICY_MISSING), Ok((true, online()))]),
            events: answers([second]),
            deletions: answers([Ok(())]),
            ..Graph::default()
        };
        let other = "99999999-2222-3333-4444-555555555555";
        let meeting = create(&graph, &context(10), &order(Mode::Auto, &[AGENT, other])).await.unwrap();
        assert!(meeting.organizer_fallback);
        assert_eq!(meeting.organizer.as_str(), other);
    }
}

#[tokio::test]
async fn an_organizer_who_does_not_exist_or_cannot_organize_is_stood_in_for_at_once() {
    let not_licensed = GraphError::NotLicensed { code: "Forbidden".into() };
    for (code, error) in [("organizerNotFound", not_found()), ("organizerNotLicensed", not_licensed)] {
        let graph = Graph { meetings: answers([Err(error), Ok((true, online()))]), ..Graph::default() };
        let other = "99999999-2222-3333-4444-555555555555";
        let cx = context(10);
        let meeting = create(&graph, &cx, &order(Mode::OnlineMeeting, &[AGENT, other])).await.unwrap();
        assert!(meeting.organizer_fallback, "{code}");
        assert!(meeting.notes[0].contains(AGENT), "{:?}", meeting.notes);
    }
    let graph = Graph {
        object_ids: answers([Err(not_found()), Ok(AGENT.into())]),
        meetings: answers([Ok((true, online()))]),
        ..Graph::default()
    };
    let order = order(Mode::Auto, &["nobody@contoso.com", "bridge@contoso.com"]);
    assert!(create(&graph, &context(10), &order).await.unwrap().organizer_fallback);
}

#[tokio::test]
async fn without_anybody_to_stand_in_the_reason_and_the_remedy_are_told() {
    let mut messages = Vec::new();
    for (mode, graph) in [
        (Mode::OnlineMeeting, Graph { meetings: answers([Err(POLICY_MISSING)]), ..Graph::default() }),
        (
            Mode::Auto,
            Graph {
                meetings: answers([Err(POLICY_MISSING)]),
                events: answers([Err(no_mailbox_permission())]),
                ..Graph::default()
            },
        ),
        (Mode::OnlineMeeting, Graph { meetings: answers([Err(not_found())]), ..Graph::default() }),
        (
            Mode::CalendarEvent,
            Graph { events: answers([Ok(downgraded_event())]), deletions: answers([Ok(())]), ..Graph::default() },
        ),
        (
            Mode::OnlineMeeting,
            Graph {
                meetings: answers([Err(GraphError::Throttled {
                    retry_after: Some(Duration::from_millis(90_500)),
                    code: "TooManyRequests".into(),
                })]),
                ..Graph::default()
            },
        ),
    ] {
        let error = create(&graph, &context(10), &order(mode, &[AGENT])).await.unwrap_err();
        messages.push(error.to_string());
    }
    insta::assert_snapshot!(messages.join("\n"));
}

#[tokio::test]
async fn what_is_not_about_the_organizer_is_not_tried_with_another() {
    for error in [
        GraphError::Throttled { retry_after: None, code: String::new() },
        GraphError::Unavailable { status: 503, code: String::new() },
        GraphError::NoReply(NoReply::Ambiguous("time-out".into())),
        GraphError::PermissionMissing {
            permission: "OnlineMeetings.ReadWrite.All",
            status: 403,
            code: "Forbidden".into(),
        },
    ] {
        let graph = Graph { meetings: answers([Err(error)]), ..Graph::default() };
        let order = order(Mode::Auto, &[AGENT, "bridge@contoso.com"]);
        assert!(create(&graph, &context(10), &order).await.is_err());
        assert_eq!(graph.asked().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_url_that_is_late_is_read_again_and_then_called_pending() {
    let graph = Graph {
        events: answers([Ok(pending_event())]),
        event_reads: answers([Ok(pending_event()), Ok(event())]),
        ..Graph::default()
    };
    let order = order(Mode::CalendarEvent, &[AGENT]);
    assert_eq!(create(&graph, &context(20), &order).await.unwrap().join_url, LINK);

    let graph = Graph {
        events: answers([Ok(pending_event())]),
        event_reads: answers([Ok(pending_event()), Ok(pending_event()), Ok(pending_event())]),
        ..Graph::default()
    };
    let error = create(&graph, &context(20), &order).await.unwrap_err();
    assert_eq!((error.code, error.code.retryable()), (Code::MEETING_URL_PENDING, true));

    // Without time for a pause there is none.
    let graph = Graph { events: answers([Ok(pending_event())]), ..Graph::default() };
    assert_eq!(create(&graph, &context(1), &order).await.unwrap_err().code, Code::MEETING_URL_PENDING);
}

#[tokio::test]
async fn the_event_of_an_earlier_click_is_found_by_the_hint_or_by_search() {
    let hint = GraphError::DuplicateTransaction { existing: Some("event-1".into()) };
    let graph = Graph { events: answers([Err(hint)]), event_reads: answers([Ok(event())]), ..Graph::default() };
    let order = order(Mode::CalendarEvent, &[AGENT]);
    assert_eq!(create(&graph, &context(10), &order).await.unwrap().code(), Code::EXISTING);

    let no_hint = GraphError::DuplicateTransaction { existing: None };
    let graph = Graph { events: answers([Err(no_hint)]), found_events: answers([Ok(event())]), ..Graph::default() };
    assert_eq!(create(&graph, &context(10), &order).await.unwrap().code(), Code::EXISTING);
}

async fn lobby_of(graph: &Graph, meeting: OnlineMeeting) -> Lobby {
    *graph.meetings.0.lock().unwrap() = VecDeque::from([Ok((true, meeting))]);
    let meeting = create(graph, &context(10), &order(Mode::OnlineMeeting, &[AGENT])).await.unwrap();
    open_lobby(graph, &context(10), &meeting).await
}

#[tokio::test]
async fn the_lobby_is_set_and_read_back_from_the_same_call() {
    let graph = Graph { updates: answers([Ok(online_with_options("everyone", "organization"))]), ..Graph::default() };
    let lobby = lobby_of(&graph, online()).await;
    assert_eq!((lobby.scope.as_str(), lobby.note), ("everyone", None));
    assert_eq!(graph.asked().len(), 2);
}

#[tokio::test]
async fn a_lobby_that_is_open_already_costs_no_call() {
    let graph = Graph::default();
    let lobby = lobby_of(&graph, online_with_options("everyone", "organization")).await;
    assert_eq!((lobby.scope.as_str(), graph.asked().len()), ("everyone", 1));
}

#[tokio::test]
async fn an_answer_that_keeps_silent_about_the_lobby_is_asked_for_again() {
    let graph = Graph {
        updates: answers([Ok(online())]),
        reads: answers([Ok(online_with_options("everyone", "organization"))]),
        ..Graph::default()
    };
    assert_eq!(lobby_of(&graph, online()).await.scope, "everyone");
}

#[tokio::test]
async fn a_policy_that_overrules_and_a_refusal_are_told_and_the_meeting_stays() {
    let overruled =
        Graph { updates: answers([Ok(online_with_options("organization", "organization"))]), ..Graph::default() };
    let lobby = lobby_of(&overruled, online()).await;
    assert_eq!(lobby.scope, "organization");
    assert!(lobby.note.unwrap().contains("meeting policy"));

    let refused = Graph { updates: answers([Err(POLICY_MISSING)]), ..Graph::default() };
    let lobby = lobby_of(&refused, online_with_options("invited", "organizer")).await;
    assert_eq!(lobby.scope, "invited");
    assert!(lobby.note.unwrap().contains("could not be set"));
}

#[tokio::test(start_paused = true)]
async fn a_new_meeting_that_is_not_known_everywhere_gets_its_lobby_all_the_same() {
    let graph = Graph {
        updates: answers([Err(not_found()), Err(not_found()), Ok(online_with_options("everyone", "organization"))]),
        ..Graph::default()
    };
    let lobby = lobby_of(&graph, online()).await;
    assert_eq!((lobby.scope.as_str(), lobby.note), ("everyone", None));

    let graph = Graph {
        events: answers([Ok(event())]),
        found: answers([Err(not_found()), Ok(online_with_options("everyone", "organization"))]),
        ..Graph::default()
    };
    let cx = context(10);
    let meeting = create(&graph, &cx, &order(Mode::CalendarEvent, &[AGENT])).await.unwrap();
    assert_eq!(open_lobby(&graph, &cx, &meeting).await.scope, "everyone");
}

#[tokio::test]
async fn the_lobby_of_a_calendar_event_is_reached_through_its_link() {
    let graph = Graph {
        events: answers([Ok(event())]),
        object_ids: answers([Ok(AGENT.into())]),
        found: answers([Ok(online())]),
        updates: answers([Ok(online_with_options("everyone", "organization"))]),
        ..Graph::default()
    };
    let cx = context(10);
    let meeting = create(&graph, &cx, &order(Mode::CalendarEvent, &["kim@contoso.com"])).await.unwrap();
    assert_eq!(open_lobby(&graph, &cx, &meeting).await.scope, "everyone");
    let expected = ["create event kim@contoso.com".into(), "get user kim@contoso.com".into(), format!("find {AGENT}")];
    assert_eq!(graph.asked()[..3], expected);
}

fn any_error() -> impl Strategy<Value = GraphError> {
    prop_oneof![
        Just(POLICY_MISSING),
        Just(not_found()),
        Just(no_mailbox_permission()),
        Just(GraphError::NotLicensed { code: String::new() }),
        Just(GraphError::DuplicateTransaction { existing: None }),
        Just(GraphError::DuplicateTransaction { existing: Some("e".into()) }),
        Just(GraphError::Throttled { retry_after: None, code: String::new() }),
        Just(GraphError::Unavailable { status: 500, code: String::new() }),
        Just(GraphError::Unreadable { problem: String::new() }),
    ]
}

fn any_meeting() -> impl Strategy<Value = (bool, OnlineMeeting)> {
    let url = prop_oneof![Just(None), Just(Some(String::new())), Just(Some(LINK.to_owned()))];
    (any::<bool>(), url).prop_map(|(new, url)| (new, online_with(json!({"joinWebUrl": url}))))
}

fn any_event() -> impl Strategy<Value = CalendarEvent> {
    prop_oneof![
        Just(event()),
        Just(pending_event()),
        Just(downgraded_event()),
        Just(event_with(true, json!({"joinUrl": ""})))
    ]
}

fn many<T: Clone + std::fmt::Debug + 'static>(
    good: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Answers<T>> {
    let one = prop_oneof![good.prop_map(Ok), any_error().prop_map(Err)].boxed();
    proptest::collection::vec(one, 40).prop_map(answers)
}

impl<T: std::fmt::Debug> std::fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

proptest! {
    /// Whatever Graph answers: a meeting comes with a link, or there is a reason; and the calls are bounded.
    #[test]
    fn a_meeting_without_a_link_is_no_meeting(
        object_ids in many(Just(AGENT.to_owned())),
        meetings in many(any_meeting()),
        events in many(any_event()),
        event_reads in many(any_event()),
        found_events in many(any_event()),
        deletions in many(Just(())),
        mode in prop_oneof![Just(Mode::Auto), Just(Mode::OnlineMeeting), Just(Mode::CalendarEvent)],
    ) {
        let graph = Graph { object_ids, meetings, events, event_reads, found_events, deletions, ..Graph::default() };
        let order = order(mode, &["kim@contoso.com", "bridge@contoso.com"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let result = runtime.block_on(async { create(&graph, &context(20), &order).await });
        match result {
            Ok(meeting) => prop_assert_eq!(meeting.join_url, LINK),
            Err(error) => prop_assert!(!error.message.is_empty()),
        }
        prop_assert!(graph.asked().len() <= 16, "{:?}", graph.asked());
    }
}
