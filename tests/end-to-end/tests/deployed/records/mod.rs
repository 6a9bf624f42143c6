//! The stores of the state table, on a real table's own conditional writes. The stores in memory pass the same tests.

mod presence;

use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::{Client, Config};
use bridge::config::Environment;
use bridge::http::{Deadline, RequestContext};
use bridge::startup::Startup;
use bridge::store::chat_names::{ChatNames, ChatWriter, DynamoChatNames, MemoryChatNames};
use bridge::store::deliveries::{Begun, Deliveries, DynamoDeliveries, Lease, LeaseEnd, MemoryDeliveries};
use bridge::store::meetings::{DynamoMeetingNotes, MeetingNote, MeetingNotes, MemoryMeetingNotes, note_key};
use bridge::store::references::{
    ConversationReference, ConversationScope, DynamoReferences, MemoryReferences, References, reference_key,
};
use bridge::store::subscriptions::{
    DynamoSubscriptionNotes, KeptSubscription, MemorySubscriptionNotes, Progress, SubscriptionNotes,
};
use bridge::store::{
    Claim, Claimed, DynamoRecords, MemoryRecords, RECORD_LIFE, Receipt, RecordKey, RecordState, Records, kind,
};
use bridge::teams::{ServiceUrl, TeamsClient};
use jiff::Timestamp;
use sandbox::cloud::REGION;
use sandbox::sandbox::Sandbox;
use uuid::Uuid;

use crate::{beside_others, conversation};

fn client(sandbox: &Sandbox) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(&sandbox.cloud.endpoint)
        .build();
    Client::from_conf(config)
}

#[test]
fn the_record_is_claimed_once_settled_by_its_owner_and_forgotten_in_a_day() {
    beside_others(async |sandbox| {
        the_record_s_rules(&DynamoRecords::new(client(sandbox), sandbox.output("StateTable").into())).await;
        the_record_s_rules(&MemoryRecords::default()).await;
    });
}

#[test]
fn a_chat_is_named_after_its_first_writer_by_every_instance() {
    beside_others(async |sandbox| {
        let table = || DynamoChatNames::new(client(sandbox), sandbox.output("StateTable").into());
        // The second one has an empty memory, as another instance has.
        the_name_s_rules(&table(), &table()).await;
        let memory = MemoryChatNames::default();
        the_name_s_rules(&memory, &memory).await;
    });
}

async fn the_name_s_rules(names: &impl ChatNames, of_another_instance: &impl ChatNames) {
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
    let [one, other] = [(); 2].map(|()| RecordKey::new(kind::CHAT_NAME, &[&conversation()]));
    let [kim, lee] = ["Kim", "Lee"].map(|name| ChatWriter { id: name.to_lowercase(), name: name.into() });
    assert!(names.first_writer(&cx, &one, &kim).await.unwrap() == kim);
    assert!(names.first_writer(&cx, &one, &lee).await.unwrap() == kim);
    assert!(of_another_instance.first_writer(&cx, &one, &lee).await.unwrap() == kim);
    assert!(of_another_instance.first_writer(&cx, &other, &lee).await.unwrap() == lee);
    assert!(names.first_writer(&cx, &other, &kim).await.unwrap() == lee);
}

async fn the_record_s_rules(records: &impl Records) {
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
    let now = Timestamp::now();
    let claim = |owner: &str, resend| Claim { owner: owner.into(), resend, deadline: now + Duration::from_secs(30) };
    let held_by = |claimed: Claimed| match claimed {
        Claimed::Granted => "granted".to_owned(),
        Claimed::Held(record) => format!("{} {:?}", record.owner, record.state),
    };
    let after = |seconds| now + Duration::from_secs(seconds);
    let try_claim = async |key: &RecordKey, owner: &str, resend, at| {
        held_by(records.claim(&cx, key, &claim(owner, resend), at).await.unwrap())
    };
    let receipt = Receipt {
        message_id: "m".into(),
        conversation_id: "c".into(),
        segments: 2,
        text_hash: "h".into(),
        link_hash: "l".into(),
    };
    let accepted = RecordState::Accepted(receipt);

    let key = RecordKey::new("test", &[&conversation()]);
    assert_eq!(try_claim(&key, "a", false, now).await, "granted");
    assert_eq!(try_claim(&key, "a", false, now).await, "granted", "the answer to the first put got lost");
    for resend in [false, true] {
        assert_eq!(try_claim(&key, "b", resend, now).await, "a Sending", "in progress, whatever is asked");
    }
    assert_eq!(try_claim(&key, "b", false, after(31)).await, "a Sending", "abandoned");
    records.settle(&cx, &key, "b", &accepted).await.unwrap();
    records.release(&cx, &key, "b").await.unwrap();
    assert_eq!(try_claim(&key, "b", false, now).await, "a Sending", "not theirs to end");
    records.settle(&cx, &key, "a", &accepted).await.unwrap();
    let stored = try_claim(&key, "b", false, now).await;
    assert!(
        stored.starts_with("a Accepted") && stored.contains("segments: 2") && stored.contains("link_hash: \"l\""),
        "{stored}"
    );
    assert_eq!(try_claim(&key, "b", true, now).await, "granted", "a person asked to send again");
    records.settle(&cx, &key, "b", &RecordState::Unknown).await.unwrap();
    assert_eq!(try_claim(&key, "c", false, now).await, "b Unknown");
    assert_eq!(try_claim(&key, "c", true, now).await, "granted");
    records.release(&cx, &key, "c").await.unwrap();
    assert_eq!(try_claim(&key, "d", false, now).await, "granted", "released is absent");
    assert_eq!(try_claim(&key, "e", true, after(31)).await, "granted", "abandoned, and a person asked");
    let expired = now + RECORD_LIFE + Duration::from_secs(60);
    assert_eq!(try_claim(&key, "f", false, expired).await, "granted", "expired is absent");
}

#[test]
fn a_conversation_s_first_meeting_is_kept_until_a_click_that_knows_it_replaces_it() {
    beside_others(async |sandbox| {
        let table = sandbox.output("StateTable").into();
        the_meeting_note_s_rules(&DynamoMeetingNotes::new(client(sandbox), table)).await;
        the_meeting_note_s_rules(&MemoryMeetingNotes::default()).await;
    });
}

async fn the_meeting_note_s_rules(notes: &impl MeetingNotes) {
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let key = note_key(&conversation());
    let note = |mark: &str, event_id: Option<&str>| MeetingNote {
        mark: mark.into(),
        organizer: "kim@contoso.com".into(),
        organizer_fallback: event_id.is_some(),
        event_id: event_id.map(str::to_owned),
        noted: now,
        expires: now + Duration::from_secs(60),
    };
    let (first, second, third) = (note("a", Some("event")), note("b", None), note("c", None));
    assert_eq!(notes.read(&cx, &key, now).await.unwrap(), None);
    let keep = async |note: &MeetingNote, replaced: Option<&MeetingNote>, at: u64| {
        notes.keep(&cx, &key, note, replaced, now + Duration::from_secs(at)).await.unwrap().mark
    };
    assert_eq!(keep(&first, None, 0).await, "a");
    assert_eq!(keep(&first, None, 0).await, "a", "the answer to the first put got lost");
    assert_eq!(keep(&second, None, 1).await, "a", "a faster click's stays");
    assert_eq!(notes.read(&cx, &key, now).await.unwrap().as_ref(), Some(&first));
    assert_eq!(keep(&second, Some(&first), 1).await, "b");
    assert_eq!(keep(&third, Some(&first), 1).await, "b", "two have found the first one out of reach");
    assert_eq!(notes.read(&cx, &key, now + Duration::from_secs(61)).await.unwrap(), None, "expired is absent");
    assert_eq!(keep(&third, None, 61).await, "c");
}

#[test]
fn a_version_is_delivered_once_by_whoever_takes_it() {
    beside_others(async |sandbox| {
        let table = sandbox.output("StateTable").into();
        the_delivery_s_rules(&DynamoDeliveries::new(client(sandbox), table)).await;
        the_delivery_s_rules(&MemoryDeliveries::default()).await;
    });
}

async fn the_delivery_s_rules(deliveries: &impl Deliveries) {
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
    let now = Timestamp::now();
    let key = RecordKey::new("test", &[&conversation()]);
    let begin = async |owner: u128, version, at: u64| {
        let now = now + Duration::from_secs(at);
        let lease = Lease { owner: Uuid::from_u128(owner), until: now + Duration::from_secs(30) };
        deliveries.begin(&cx, &key, version, &lease, now).await.unwrap()
    };
    let done = async |owner: u128, version| {
        let end = LeaseEnd::Delivered(version);
        deliveries.end(&cx, &key, Uuid::from_u128(owner), end).await.unwrap();
    };
    let end = async |owner: u128, end| deliveries.end(&cx, &key, Uuid::from_u128(owner), end).await.unwrap();
    let give_up = async |owner: u128| end(owner, LeaseEnd::Failed).await;
    let granted = |before, doubts, tries| Begun::Granted { before, doubts, tries };
    assert_eq!(begin(1, 10, 0).await, granted(None, 0, 0));
    assert_eq!(begin(1, 10, 0).await, granted(None, 0, 0), "the same once more, whose answer got lost");
    assert_eq!(begin(2, 10, 0).await, Begun::InProgress, "another one, whose lease would end at the same moment");
    assert_eq!(begin(2, 20, 1).await, Begun::InProgress, "another version of it neither");
    give_up(2).await;
    assert_eq!(begin(2, 10, 1).await, Begun::InProgress, "it was not theirs to end");
    give_up(1).await;
    assert_eq!(begin(2, 10, 1).await, granted(None, 0, 1), "given up");
    assert_eq!(begin(3, 20, 32).await, granted(None, 1, 2), "who took it has died");
    for late in [1, 2] {
        done(late, 10).await;
        give_up(late).await;
    }
    assert_eq!(begin(4, 20, 33).await, Begun::InProgress, "it is not theirs to end any more");
    assert_eq!(deliveries.delivered(&cx, &key).await.unwrap(), None);
    done(3, 20).await;
    assert_eq!(deliveries.delivered(&cx, &key).await.unwrap(), Some(20));
    for older in [10, 20] {
        assert_eq!(begin(4, older, 33).await, Begun::Delivered);
    }
    assert_eq!(begin(4, 30, 33).await, granted(Some(20), 0, 0));
    give_up(4).await;
    assert_eq!(begin(5, 20, 34).await, Begun::Delivered, "what was delivered stays delivered");
    // Tries that may have been taken are counted, until one is delivered or the message is set aside.
    for doubts in 0..2 {
        assert_eq!(begin(6, 30, 35).await, granted(Some(20), doubts, doubts + 1));
        end(6, LeaseEnd::InDoubt).await;
    }
    deliveries.forget_doubts(&cx, &key).await.unwrap();
    assert_eq!(begin(6, 30, 35).await, granted(Some(20), 0, 0));
    end(6, LeaseEnd::InDoubt).await;
    assert_eq!(begin(6, 30, 35).await, granted(Some(20), 1, 1));
    done(6, 30).await;
    assert_eq!(begin(6, 40, 35).await, granted(Some(30), 0, 0));
    let nothing = RecordKey::new("test", &[&conversation()]);
    deliveries.forget_doubts(&cx, &nothing).await.unwrap();
    assert_eq!(deliveries.delivered(&cx, &nothing).await.unwrap(), None);
}

#[test]
fn what_is_known_of_a_subscription_is_written_by_each_without_reading() {
    beside_others(async |sandbox| {
        let table = sandbox.output("StateTable").into();
        the_notes_rules(&DynamoSubscriptionNotes::new(client(sandbox), table)).await;
        the_notes_rules(&MemorySubscriptionNotes::default()).await;
    });
}

async fn the_notes_rules(notes: &impl SubscriptionNotes) {
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
    let (resource, other) = (format!("/users/{}/messages", conversation()), conversation());
    let id = conversation();
    let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
    let read = async || notes.read(&cx, &[&resource, &other], &[&id]).await.unwrap();
    assert!(read().await.by_resource.is_empty() && read().await.heard.is_empty());

    // First the intention, then the subscription; how far it was listed stands beside it.
    let intended = KeptSubscription {
        subscription_id: String::new(),
        client_state: "fingerprint".into(),
        certificate_id: String::new(),
        begun: at(0),
        made: None,
        granted: Duration::from_secs(3600),
        renewed: None,
    };
    notes.keep(&cx, &resource, &intended).await.unwrap();
    let first = Progress {
        version: 1,
        closed_until: at(0),
        until: Some(at(3)),
        since: Some(at(1)),
        under_way: Some(at(5)),
        link: Some("next".into()),
        refused: Some(at(7)),
    };
    assert!(notes.advance(&cx, &resource, &first).await.unwrap());
    assert!(!notes.advance(&cx, &resource, &first).await.unwrap(), "two have begun at the same point");
    let made = KeptSubscription {
        subscription_id: id.clone(),
        certificate_id: "c".into(),
        made: Some(at(2)),
        renewed: Some(at(9)),
        ..intended.clone()
    };
    notes.keep(&cx, &resource, &made).await.unwrap();
    let note = &read().await.by_resource[&resource];
    assert_eq!((note.kept.as_ref(), note.progress.as_ref()), (Some(&made), Some(&first)));
    let second = Progress {
        version: 2,
        closed_until: at(5),
        until: None,
        since: None,
        under_way: None,
        link: None,
        refused: None,
    };
    assert!(notes.advance(&cx, &resource, &second).await.unwrap());
    assert!(!notes.advance(&cx, &resource, &Progress { version: 4, ..second.clone() }).await.unwrap());
    assert_eq!(read().await.by_resource[&resource].progress.as_ref(), Some(&second));

    // Heard of at most once a minute, and never back in time.
    for (second, noted) in [(100, 100), (159, 100), (160, 160), (90, 160), (300, 300)] {
        notes.heard(&cx, &id, at(second)).await.unwrap();
        assert_eq!(read().await.heard[&id], at(noted), "{second}");
    }
    notes.heard(&cx, "", at(400)).await.unwrap();
    assert!(!notes.read(&cx, &[], &[""]).await.unwrap().heard.contains_key(""), "found by listing");

    notes.forget(&cx, &resource).await.unwrap();
    assert!(read().await.by_resource.is_empty());
    // More than DynamoDB reads at once.
    let many: Vec<String> = (0..130).map(|n| format!("{resource}/{n}")).collect();
    notes.keep(&cx, &many[129], &made).await.unwrap();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(notes.read(&cx, &many, &[]).await.unwrap().by_resource.len(), 1);
}

#[test]
fn a_reference_goes_forward_only_and_a_removal_is_remembered() {
    beside_others(async |sandbox| {
        let table: String = sandbox.output("StateTable").into();
        let of_hosts = |hosts: &str| DynamoReferences::new(client(sandbox), table.clone(), hosts.parse().unwrap());
        the_reference_s_rules(&of_hosts(BOT_HOSTS)).await;
        the_reference_s_rules(&MemoryReferences::default()).await;

        // What the table holds is held against the list again: the token goes nowhere else.
        let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
        let key = reference_key("t", "u", &conversation());
        let reference = reference("https://old.bots.example/emea/", 1);
        assert!(of_hosts(BOT_HOSTS).renew(&cx, &key, &reference).await.unwrap());
        assert_eq!(of_hosts("bots.example").find(&cx, &key).await.unwrap(), None);
        assert_eq!(of_hosts("old.bots.example").find(&cx, &key).await.unwrap(), Some(reference));
    });
}

const BOT_HOSTS: &str = "bots.example,old.bots.example";

/// A service URL, which only a setting, a verified activity and a stored reference give.
fn service_url(url: &str) -> ServiceUrl {
    let settings = [("BOT_SECRET_ID", "bot"), ("BOT_SERVICE_HOSTS", BOT_HOSTS), ("BOT_SERVICE_URL", url)];
    let mut env = Environment::of(settings);
    let aws = aws_config::SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
    let teams = TeamsClient::from_startup(&mut Startup::with(&mut env, aws).unwrap()).unwrap();
    teams.first_service_url().clone()
}

fn reference(url: &str, milliseconds: i64) -> ConversationReference {
    ConversationReference {
        service_url: service_url(url),
        conversation_id: "a:17I0".into(),
        tenant_id: "t".into(),
        bot_id: "28:app".into(),
        scope: ConversationScope::Personal,
        last_seen: Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap(),
    }
}

async fn the_reference_s_rules(references: &impl References) {
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
    let (key, other) = (reference_key("t", "u", &conversation()), reference_key("t", "u", &conversation()));
    let [first, second, third] = [1, 2, 3].map(|time| reference(&format!("https://bots.example/{time}/"), time));
    let find = async || references.find(&cx, &key).await.unwrap();
    let renew = async |reference| references.renew(&cx, &key, reference).await.unwrap();
    let remove = async |as_of| references.remove(&cx, &key, as_of).await.unwrap();
    assert_eq!(find().await, None);
    assert!(renew(&second).await);
    for not_newer in [&first, &second] {
        assert!(!renew(not_newer).await);
    }
    assert_eq!(find().await.as_ref(), Some(&second));
    assert_eq!(references.find(&cx, &other).await.unwrap(), None);

    // A removal that is overtaken by an activity does nothing.
    assert!(!remove(first.last_seen).await);
    assert_eq!(find().await.as_ref(), Some(&second));
    assert!(remove(second.last_seen).await);
    assert!(remove(second.last_seen).await, "it is told twice");
    assert_eq!(find().await, None);
    for from_before in [&first, &second] {
        assert!(!renew(from_before).await, "it comes late and brings nothing back");
    }
    assert_eq!(find().await, None);
    assert!(renew(&third).await, "the app is there again");
    assert_eq!(find().await.as_ref(), Some(&third));

    // A removal of what nobody has noted is remembered too.
    assert!(references.remove(&cx, &other, second.last_seen).await.unwrap());
    assert!(!references.renew(&cx, &other, &first).await.unwrap());
    assert!(references.renew(&cx, &other, &third).await.unwrap());
}
