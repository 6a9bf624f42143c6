//! The once-record on the real table's own conditional writes.

use std::time::Duration;

use bridge::http::{Deadline, RequestContext};
use bridge::store::{Claim, Claimed, DynamoRecords, RECORD_LIFE, Receipt, RecordKey, Records, State};
use sandbox::cloud::REGION;

use crate::{beside_others, conversation};

/// The rules of the record, on the real table's own conditional writes. (Its twin in memory passes the same.)
#[test]
fn the_record_is_claimed_once_settled_by_its_owner_and_forgotten_in_a_day() {
    beside_others(async |sandbox| {
        let credentials = aws_sdk_dynamodb::config::Credentials::new("test", "test", None, None, "test");
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new(REGION))
            .credentials_provider(credentials)
            .endpoint_url(&sandbox.cloud.endpoint)
            .build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        the_record_s_rules(&DynamoRecords::new(client, sandbox.output("StateTable").into())).await;
        the_record_s_rules(&bridge::store::MemoryRecords::default()).await;
    });
}

async fn the_record_s_rules(records: &impl Records) {
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
    let now = jiff::Timestamp::now();
    let claim = |owner: &str, resend| Claim { owner: owner.into(), resend, deadline: now + Duration::from_secs(30) };
    let held_by = |claimed: Claimed| match claimed {
        Claimed::Granted => "granted".to_owned(),
        Claimed::Held(record) => format!("{} {:?}", record.owner, record.state),
    };
    let after = |seconds| now + Duration::from_secs(seconds);
    let try_claim = async |key: &RecordKey, owner: &str, resend, at| {
        held_by(records.claim(&cx, key, &claim(owner, resend), at).await.unwrap())
    };
    let receipt = Receipt { message_id: "m".into(), conversation_id: "c".into(), segments: 2 };
    let accepted = State::Accepted(receipt);

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
    assert!(stored.starts_with("a Accepted") && stored.contains("segments: 2"), "{stored}");
    assert_eq!(try_claim(&key, "b", true, now).await, "granted", "a person asked to send again");
    records.settle(&cx, &key, "b", &State::Unknown).await.unwrap();
    assert_eq!(try_claim(&key, "c", false, now).await, "b Unknown");
    assert_eq!(try_claim(&key, "c", true, now).await, "granted");
    records.release(&cx, &key, "c").await.unwrap();
    assert_eq!(try_claim(&key, "d", false, now).await, "granted", "released is absent");
    assert_eq!(try_claim(&key, "e", true, after(31)).await, "granted", "abandoned, and a person asked");
    let expired = now + RECORD_LIFE + Duration::from_secs(60);
    assert_eq!(try_claim(&key, "f", false, expired).await, "granted", "expired is absent");
}
