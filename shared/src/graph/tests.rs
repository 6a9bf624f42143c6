use serde_json::json;
use wiremock::matchers::{header, header_exists, method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use super::*;
use crate::remote::{Remote, context};

const USER: &str = "11111111-2222-3333-4444-555555555555";

async fn client(remote: &Remote) -> GraphClient {
    GraphClient::new(remote.entra().await, format!("{}/v1.0", remote.uri()).parse().unwrap())
}

fn new_event() -> NewEvent {
    NewEvent {
        transaction_id: "t-1".into(),
        subject: "Customer call".into(),
        start: "2026-05-04T10:00:00".into(),
        end: "2026-05-04T11:00:00".into(),
    }
}

fn new_meeting() -> NewOnlineMeeting {
    NewOnlineMeeting {
        external_id: "c-1".into(),
        start_date_time: "2026-05-04T10:00:00Z".into(),
        end_date_time: "2026-05-04T11:00:00Z".into(),
        subject: "Customer call".into(),
    }
}

#[tokio::test]
async fn a_meeting_is_created_or_got_and_the_call_is_noted_with_graph_s_own_id() {
    let remote = Remote::start().await;
    let graph = client(&remote).await;
    let at = format!("/v1.0/users/{USER}/onlineMeetings/createOrGet");
    let call = || {
        Mock::given(method("POST"))
            .and(path(&at))
            .and(header("authorization", "Bearer graph-token"))
            .and(header_exists("client-request-id"))
    };
    let body = json!({"id": "m-1", "joinWebUrl": "https://teams.microsoft.com/x", "lobbyBypassSettings": null});
    let created = ResponseTemplate::new(201).set_body_json(&body).insert_header("request-id", "g-9");
    remote.expect(call(), 1, created).await;
    remote.expect(call(), 1, ResponseTemplate::new(200).set_body_json(&body)).await;

    let cx = context(10);
    let (is_new, meeting) = graph.create_or_get_online_meeting(&cx, USER, &new_meeting()).await.unwrap();
    assert_eq!((is_new, meeting.id.as_str(), meeting.lobby_scope()), (true, "m-1", None));
    let (is_new, _) = graph.create_or_get_online_meeting(&cx, USER, &new_meeting()).await.unwrap();
    assert!(!is_new);
    assert_eq!(cx.record.calls(), 4, "secret, token and two calls");
    insta::assert_snapshot!(remote.bodies(&at).await[0]);
}

#[tokio::test]
async fn the_options_are_patched_and_the_answer_says_what_became_of_them() {
    let remote = Remote::start().await;
    let graph = client(&remote).await;
    let at = format!("/v1.0/users/{USER}/onlineMeetings/m-1");
    let body = json!({"id": "m-1", "lobbyBypassSettings": {"scope": "everyone", "isDialInBypassEnabled": true}});
    remote.once("PATCH", &at, 200, body).await;
    let options = MeetingOptions {
        lobby_bypass_settings: LobbyBypassSettings { scope: "everyone".into(), is_dial_in_bypass_enabled: true },
        allowed_presenters: "organization".into(),
    };
    let meeting = graph.update_online_meeting(&context(10), USER, "m-1", &options).await.unwrap();
    assert_eq!(meeting.lobby_scope(), Some("everyone"));
    insta::assert_snapshot!(remote.bodies(&at).await[0]);
}

#[tokio::test]
async fn a_user_is_looked_up_once() {
    let remote = Remote::start().await;
    let graph = client(&remote).await;
    let look_up = Mock::given(path("/v1.0/users/kim%23EXT%23@contoso.com")).and(query_param("$select", "id"));
    remote.expect(look_up, 1, ResponseTemplate::new(200).set_body_json(json!({"id": USER}))).await;
    for upn in ["kim#EXT#@contoso.com", "Kim#ext#@CONTOSO.com"] {
        // The second is answered from memory: names know no case.
        assert_eq!(graph.get_object_id(&context(10), upn).await.unwrap(), USER);
    }
}

/// Graph answers 400 to a path segment that begins with a dollar sign.
#[tokio::test]
async fn a_name_that_begins_with_a_dollar_sign_goes_as_a_key() {
    let remote = Remote::start().await;
    let graph = client(&remote).await;
    for (upn, at) in [
        ("$kim@contoso.com", "/v1.0/users('$kim@contoso.com')"),
        ("$o'kim#EXT#@contoso.com", "/v1.0/users('$o''kim%23EXT%23@contoso.com')"),
        ("kim$@contoso.com", "/v1.0/users/kim$@contoso.com"),
        ("o'connor@contoso.com", "/v1.0/users/o'connor@contoso.com"),
        ("kim+test@contoso.com", "/v1.0/users/kim+test@contoso.com"),
        ("jürgen@contoso.com", "/v1.0/users/j%C3%BCrgen@contoso.com"),
        ("kim&co@contoso.com", "/v1.0/users/kim&co@contoso.com"),
    ] {
        let (cx, between) = (context(10), ("2026-05-04T00:00:00Z", "2026-05-05T00:00:00Z"));
        remote.once("GET", at, 200, json!({"id": USER})).await;
        assert_eq!(graph.get_object_id(&cx, upn).await.unwrap(), USER);
        remote.once("POST", &format!("{at}/events"), 201, json!({"id": "e-1"})).await;
        assert_eq!(graph.create_event(&cx, upn, &new_event()).await.unwrap().id, "e-1");
        remote.once("GET", &format!("{at}/events/e-1"), 200, json!({"id": "e-1"})).await;
        assert_eq!(graph.get_event(&cx, upn, "e-1").await.unwrap().id, "e-1");
        remote.once("GET", &format!("{at}/calendarView"), 200, json!({"value": []})).await;
        assert!(graph.find_event(&cx, upn, "t-1", between).await.unwrap_err().is_not_found());
        remote.once("DELETE", &format!("{at}/events/e-1"), 204, json!({})).await;
        assert_eq!(graph.delete_event(&cx, upn, "e-1").await, Ok(()));
    }
}

#[tokio::test]
async fn a_meeting_is_found_by_its_link_with_every_character_encoded() {
    let remote = Remote::start().await;
    let graph = client(&remote).await;
    let link = "https://teams.microsoft.com/l/meetup-join/19%3ameeting+x'y/0?context=%7b%7d";
    let page = json!({"value": [{"id": "m-1"}]});
    remote.once("GET", &format!("/v1.0/users/{USER}/onlineMeetings"), 200, page).await;
    assert_eq!(graph.find_online_meeting(&context(10), USER, link).await.unwrap().id, "m-1");
    let requests = remote.0.received_requests().await.unwrap();
    insta::assert_snapshot!(requests.last().unwrap().url.query().unwrap());
}

#[tokio::test]
async fn an_event_is_searched_page_by_page_and_a_link_elsewhere_gets_no_token() {
    let remote = Remote::start().await;
    let graph = client(&remote).await;
    let first = json!({"value": [{"id": "1"}], "@odata.nextLink": format!("{}/v1.0/next?$skip=50", remote.uri())});
    let second = json!({"value": [{"id": "2", "transactionId": "t-1"}]});
    remote.once("GET", "/v1.0/users/kim@contoso.com/calendarView", 200, first).await;
    remote.once("GET", "/v1.0/next", 200, second).await;
    let between = ("2026-05-04T00:00:00Z", "2026-05-05T00:00:00Z");
    let found = graph.find_event(&context(10), "kim@contoso.com", "t-1", between).await.unwrap();
    assert_eq!(found.id, "2");

    let elsewhere = json!({"value": [], "@odata.nextLink": "https://evil.example/v1.0/next"});
    remote.once("GET", "/v1.0/users/kim@contoso.com/calendarView", 200, elsewhere).await;
    let missing = graph.find_event(&context(10), "kim@contoso.com", "t-1", between).await;
    assert!(matches!(missing, Err(GraphError::NotFound { .. })));
}

#[tokio::test]
async fn an_event_that_is_gone_is_as_good_as_deleted() {
    let remote = Remote::start().await;
    let graph = client(&remote).await;
    for status in [204, 404] {
        remote.once("DELETE", "/v1.0/users/u@contoso.com/events/e-1", status, json!({})).await;
        assert_eq!(graph.delete_event(&context(10), "u@contoso.com", "e-1").await, Ok(()));
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_an_error_and_no_panic() {
    let remote = Remote::start().await;
    let graph = client(&remote).await;
    let at = format!("/v1.0/users/{USER}/onlineMeetings/createOrGet");
    remote.expect(Mock::given(path(at)), 1, ResponseTemplate::new(201).set_body_string("<html>")).await;
    let error = graph.create_or_get_online_meeting(&context(10), USER, &new_meeting()).await.unwrap_err();
    assert!(matches!(error, GraphError::Unreadable { .. }), "{error}");
}

mod presence_changes {
    use super::super::presence::{PresenceAction, PresenceChange, Presences, batch_body, batch_outcomes};
    use super::*;

    fn changes() -> Vec<PresenceChange> {
        let change = |action| PresenceChange { user_id: USER.into(), action };
        vec![
            change(PresenceAction::SetPresence {
                session_id: "app".into(),
                availability: "Busy",
                activity: "InACall",
                minutes: 240,
            }),
            change(PresenceAction::SetUserPreferredPresence { availability: "Busy", activity: "Busy", minutes: 480 }),
            change(PresenceAction::ClearPresence { session_id: "app".into() }),
            change(PresenceAction::ClearUserPreferredPresence),
        ]
    }

    #[test]
    fn what_graph_is_asked_for() {
        insta::assert_json_snapshot!(batch_body(&changes()));
    }

    #[tokio::test]
    async fn each_answer_of_a_batch_finds_its_change() {
        let remote = Remote::start().await;
        let graph = client(&remote).await;
        let throttled = json!({"error": {"code": "TooManyRequests", "message": ""}});
        let missing = json!({"error": {"code": "NotFound", "message": ""}});
        let responses = json!({"responses": [
            {"id": "3", "status": 404, "headers": {}, "body": missing},
            {"id": "1", "status": 429, "headers": {"Retry-After": "1.5"}, "body": throttled},
            {"id": "2", "status": 404, "headers": {}, "body": missing},
            {"id": "0", "status": 200},
            {"id": "17", "status": 500}, {"id": "x", "status": 500},
        ]});
        remote.once("POST", "/v1.0/$batch", 200, responses).await;
        let outcomes = graph.batch_presence_changes(&context(10), &changes()).await.unwrap();
        assert_eq!(outcomes[0], Ok(()));
        let Err(GraphError::Throttled { retry_after, .. }) = &outcomes[1] else { panic!("{outcomes:?}") };
        assert_eq!(*retry_after, Some(std::time::Duration::from_millis(1500)));
        assert_eq!(outcomes[2], Ok(()), "a session that is gone needs no clearing");
        assert!(outcomes[3].as_ref().is_err_and(GraphError::is_not_found));
    }

    #[test]
    fn a_change_without_an_answer_has_failed() {
        let outcomes = batch_outcomes(&changes(), br#"{"responses": [{"id": "0", "status": 204}]}"#).unwrap();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(batch_outcomes(&changes(), b"<html>").is_err());
    }

    #[tokio::test]
    async fn one_change_is_one_call_and_is_made_once_more_when_graph_says_when() {
        let remote = Remote::start().await;
        let graph = client(&remote).await;
        let at = format!("/v1.0/users/{USER}/presence/setUserPreferredPresence");
        let call = || Mock::given(method("POST")).and(path(&at)).and(header("authorization", "Bearer graph-token"));
        remote.expect(call(), 1, ResponseTemplate::new(429).insert_header("Retry-After", "0.1")).await;
        remote.expect(call(), 1, ResponseTemplate::new(200)).await;
        let outcomes = graph.change_presences(&context(10), &changes()[1..2]).await.unwrap();
        assert_eq!(outcomes, [Ok(())]);
        assert_eq!(&*graph.app_id(&context(10)).await.unwrap(), "c");
    }
}

mod subscriptions {
    use jiff::Timestamp;
    use secrecy::SecretString;

    use super::super::subscriptions::{EncryptionCertificate, NewSubscription, Subscriptions};
    use super::*;

    const ID: &str = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07";

    fn ends() -> Timestamp {
        "2026-05-07T12:00:00.123Z".parse().unwrap()
    }

    fn certificate() -> EncryptionCertificate {
        EncryptionCertificate { id: "2026-05".into(), der_base64: "MIIC".into() }
    }

    async fn create(graph: &GraphClient, rich: bool) -> Result<super::super::subscriptions::Subscription, GraphError> {
        let (client_state, certificate) = (SecretString::from("s3cret"), certificate());
        let new = NewSubscription {
            resource: "/users/u/chats/getAllMessages",
            change_type: "created,updated,deleted",
            notification_url: "https://bridge.example/graph/notifications",
            lifecycle_notification_url: "https://bridge.example/graph/lifecycle",
            expires: ends(),
            client_state: &client_state,
            encryption: rich.then_some(&certificate),
            permission: "Chat.Read.All",
        };
        graph.create_subscription(&context(10), &new).await
    }

    #[tokio::test]
    async fn what_graph_is_asked_to_watch_and_what_it_makes_of_it() {
        let remote = Remote::start().await;
        let graph = client(&remote).await;
        let call = || {
            Mock::given(method("POST"))
                .and(path("/v1.0/subscriptions"))
                .and(header("prefer", "include-unknown-enum-members"))
        };
        let answer = json!({
            "id": ID, "resource": "/users/u/chats/getAllMessages", "changeType": "created,updated,deleted",
            "expirationDateTime": "2026-05-07T04:00:00.9097561-08:00", "includeResourceData": null,
            "notificationUrl": "https://bridge.example/graph/notifications",
        });
        for _ in 0..2 {
            remote.expect(call(), 1, ResponseTemplate::new(201).set_body_json(&answer)).await;
        }
        let made = create(&graph, true).await.unwrap();
        assert_eq!((made.id.as_str(), made.include_resource_data), (ID, None));
        assert_eq!(made.expires.unwrap().to_string(), "2026-05-07T12:00:00.9097561Z");
        create(&graph, false).await.unwrap();
        for body in remote.bodies("/v1.0/subscriptions").await {
            insta::assert_snapshot!(body);
        }
    }

    #[tokio::test]
    async fn a_creation_whose_outcome_is_unknown_is_not_repeated() {
        let remote = Remote::start().await;
        let graph = client(&remote).await;
        remote.once("POST", "/v1.0/subscriptions", 503, json!({})).await;
        assert!(matches!(create(&graph, false).await, Err(GraphError::Unavailable { status: 503, .. })));
        remote.once("POST", "/v1.0/subscriptions", 409, json!({"error": {"code": "Conflict"}})).await;
        assert_eq!(create(&graph, false).await, Err(GraphError::SubscriptionExists));
    }

    #[tokio::test]
    async fn a_renewal_carries_the_certificate_where_there_is_a_new_one() {
        let remote = Remote::start().await;
        let graph = client(&remote).await;
        let at = format!("/v1.0/subscriptions/{ID}");
        for encryption in [None, Some(certificate())] {
            remote.once("PATCH", &at, 200, json!({"id": ID, "expirationDateTime": "2026-05-07T12:00:00Z"})).await;
            let renewed =
                graph.renew_subscription(&context(10), ID, ends(), encryption.as_ref(), "Chat.Read.All").await.unwrap();
            assert_eq!(renewed.expires.unwrap().to_string(), "2026-05-07T12:00:00Z");
        }
        for body in remote.bodies(&at).await {
            insta::assert_snapshot!(body);
        }
        remote.once("PATCH", &at, 404, json!({"error": {"code": "ResourceNotFound", "message": ""}})).await;
        let gone = graph.renew_subscription(&context(10), ID, ends(), None, "Chat.Read.All").await;
        assert!(gone.unwrap_err().is_not_found());
    }

    #[tokio::test]
    async fn all_pages_are_listed_and_a_list_that_cannot_be_read_to_its_end_is_an_error() {
        let remote = Remote::start().await;
        let graph = client(&remote).await;
        let next = format!("{}/v1.0/more?$skiptoken=x%3D", remote.uri());
        remote.once("GET", "/v1.0/subscriptions", 200, json!({"value": [{"id": "1"}], "@odata.nextLink": next})).await;
        let more = Mock::given(path("/v1.0/more")).and(query_param("$skiptoken", "x="));
        remote.expect(more, 1, ResponseTemplate::new(200).set_body_json(json!({"value": [{"id": "2"}]}))).await;
        let ids: Vec<_> = graph.list_subscriptions(&context(10)).await.unwrap().into_iter().map(|it| it.id).collect();
        assert_eq!(ids, ["1", "2"]);

        let elsewhere = json!({"value": [], "@odata.nextLink": "https://evil.example/v1.0/subscriptions"});
        remote.once("GET", "/v1.0/subscriptions", 200, elsewhere).await;
        assert!(graph.list_subscriptions(&context(10)).await.is_err());
    }

    #[tokio::test]
    async fn one_that_is_gone_is_as_good_as_deleted() {
        let remote = Remote::start().await;
        let graph = client(&remote).await;
        for status in [204, 404] {
            remote.once("DELETE", &format!("/v1.0/subscriptions/{ID}"), status, json!({})).await;
            assert_eq!(graph.delete_subscription(&context(10), ID).await, Ok(()));
        }
    }
}

mod what_has_changed {
    use jiff::Timestamp;

    use super::*;

    const CHAT: &str = "19:aaa_bbb@unq.gbl.spaces";

    fn since() -> PageFrom<'static> {
        PageFrom::Since(Timestamp::from_second(1_777_896_000).unwrap())
    }

    async fn query(remote: &Remote) -> String {
        let requests = remote.0.received_requests().await.unwrap();
        let url = &requests.last().unwrap().url;
        format!("{}?{}", url.path(), url.query().unwrap_or_default())
    }

    #[tokio::test]
    async fn what_graph_is_asked_for() {
        let remote = Remote::start().await;
        let graph = client(&remote).await;
        let cx = context(10);
        let page = json!({"value": [], "@odata.deltaLink": "https://x/"});
        remote.once("GET", &format!("/v1.0/users/{USER}/chats/getAllMessages/delta"), 200, page.clone()).await;
        assert!(graph.get_all_messages_delta(&cx, USER, since()).await.unwrap().delta.is_some());
        insta::assert_snapshot!(query(&remote).await);
        remote.once("GET", &format!("/v1.0/chats/{CHAT}/messages"), 200, page.clone()).await;
        graph.list_chat_messages(&cx, CHAT, since()).await.unwrap();
        insta::assert_snapshot!(query(&remote).await);
        let folder = Mock::given(path(format!("/v1.0/users/{USER}/mailFolders/inbox/messages/delta")))
            .and(header("prefer", "odata.maxpagesize=50"));
        remote.expect(folder, 1, ResponseTemplate::new(200).set_body_json(page)).await;
        graph.mail_folder_delta(&cx, USER, "inbox", since()).await.unwrap();
        insta::assert_snapshot!(query(&remote).await);
    }

    #[tokio::test]
    async fn what_is_read_of_messages_and_of_what_is_left_of_them() {
        let remote = Remote::start().await;
        let graph = client(&remote).await;
        let at = format!("{}/v1.0/link?$deltatoken=abc", remote.uri());
        let page = json!({"value": [
            {"id": "1712027444034", "etag": "1712027450000", "chatId": CHAT, "createdDateTime": "2024-04-02T03:10:44.034Z",
             "lastModifiedDateTime": "2024-04-02T03:10:50Z", "deletedDateTime": null, "body": {"content": "secret"}},
        ]});
        remote.once("GET", "/v1.0/link", 200, page).await;
        let chats = graph.get_all_messages_delta(&context(10), USER, PageFrom::Link(&at)).await.unwrap();
        let message = &chats.value[0];
        assert_eq!((message.etag.as_deref(), message.chat_id.as_deref()), (Some("1712027450000"), Some(CHAT)));
        assert!(message.created.unwrap() < message.modified.unwrap() && message.deleted.is_none());

        let page =
            json!({"value": [{"id": "AAMk", "@removed": {"reason": "deleted"}}, {"id": "B", "@odata.etag": "W"}]});
        remote.once("GET", "/v1.0/link", 200, page).await;
        let mail = graph.mail_folder_delta(&context(10), USER, "inbox", PageFrom::Link(&at)).await.unwrap();
        assert!(mail.value[0].removed.is_some() && mail.value[1].removed.is_none());
        assert_eq!(mail.value[1].etag.as_deref(), Some("W"));
    }

    #[tokio::test]
    async fn a_link_elsewhere_gets_no_token_and_a_forgotten_one_is_told() {
        let remote = Remote::start().await;
        let graph = client(&remote).await;
        let elsewhere = PageFrom::Link("https://evil.example/v1.0/delta");
        assert!(graph.get_all_messages_delta(&context(10), USER, elsewhere).await.is_err());
        remote.once("GET", "/v1.0/link", 410, json!({"error": {"code": "syncStateNotFound"}})).await;
        let at = format!("{}/v1.0/link", remote.uri());
        let gone = graph.mail_folder_delta(&context(10), USER, "inbox", PageFrom::Link(&at)).await;
        assert!(matches!(gone, Err(GraphError::SyncStateGone { .. })), "{gone:?}");
    }
}
