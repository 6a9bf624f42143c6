//! The owner of a lease, in memory and in the requests to DynamoDB.

use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use serde_json::{Value, json};
use wiremock::matchers::{header, method};
use wiremock::{Mock, ResponseTemplate};

use super::*;
use crate::remote::{Remote, context};

fn key() -> RecordKey {
    RecordKey::new("openMessage", &["t", "19:a", "1"])
}

fn lease(until: Timestamp) -> Lease {
    Lease { owner: Uuid::new_v4(), until }
}

#[tokio::test]
async fn two_leases_that_end_at_the_same_moment_have_two_owners() {
    let (deliveries, cx, now) = (MemoryDeliveries::default(), context(10), Timestamp::now());
    let until = now + Duration::from_secs(90);
    let (ours, theirs) = (lease(until), lease(until));
    let begin = async |lease: &Lease, now| deliveries.begin(&cx, &key(), 7, lease, now).await.unwrap();
    let granted = |doubts, tries| Begun::Granted { before: None, doubts, tries };
    assert_eq!(begin(&ours, now).await, granted(0, 0));
    assert_eq!(begin(&ours, now).await, granted(0, 0), "the first answer got lost");
    assert_eq!(begin(&theirs, now).await, Begun::InProgress);
    // Theirs is nothing to end.
    deliveries.end(&cx, &key(), theirs.owner, LeaseEnd::Failed).await.unwrap();
    deliveries.end(&cx, &key(), theirs.owner, LeaseEnd::Delivered(7)).await.unwrap();
    assert_eq!(begin(&theirs, now).await, Begun::InProgress);
    // Ours has run out and is theirs: we come back late.
    assert_eq!(begin(&theirs, until).await, granted(1, 1), "nobody knows how ours ended");
    deliveries.end(&cx, &key(), ours.owner, LeaseEnd::Failed).await.unwrap();
    deliveries.end(&cx, &key(), ours.owner, LeaseEnd::Delivered(7)).await.unwrap();
    assert_eq!(begin(&ours, now).await, Begun::InProgress);
    deliveries.end(&cx, &key(), theirs.owner, LeaseEnd::Delivered(7)).await.unwrap();
    assert_eq!(begin(&ours, now).await, Begun::Delivered);
}

/// The request to DynamoDB, and how the delivery begins when another item exists already.
async fn met(item: Value, lease: &Lease) -> (Begun, Value) {
    let remote = Remote::start().await;
    let update = Mock::given(method("POST")).and(header("x-amz-target", "DynamoDB_20120810.UpdateItem"));
    let refused = json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": item});
    remote.expect(update, 1, ResponseTemplate::new(400).set_body_json(refused)).await;
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(remote.uri())
        .build();
    let table = DynamoDeliveries::new(aws_sdk_dynamodb::Client::from_conf(config), "state".into());
    let begun = table.begin(&context(10), &key(), 7, lease, Timestamp::UNIX_EPOCH).await.unwrap();
    (begun, serde_json::from_str(&remote.bodies("/").await[0]).unwrap())
}

#[tokio::test]
async fn the_table_tells_the_owner_by_its_name_and_not_by_the_time() {
    let until: Timestamp = "2026-05-04T10:00:00Z".parse().unwrap();
    let ours = Lease { owner: Uuid::from_u128(1), until };
    let held = |owner: u128| {
        let owner = Uuid::from_u128(owner).to_string();
        json!({"id": {"S": key().as_str()}, "owner": {"S": owner}, "lease": {"N": until.as_millisecond().to_string()}})
    };
    let (begun, asked) = met(held(1), &ours).await;
    assert_eq!(begun, Begun::Granted { before: None, doubts: 0, tries: 0 });
    insta::assert_json_snapshot!(asked);
    assert_eq!(met(held(2), &ours).await.0, Begun::InProgress);
    let before = json!({"id": {"S": "x"}, "delivered": {"N": "7"}});
    assert_eq!(met(before, &ours).await.0, Begun::Delivered);
    // As an earlier version of the bridge wrote it.
    let nameless = json!({"id": {"S": "x"}, "taken": {"N": "7"}, "lease": {"N": until.as_millisecond().to_string()}});
    assert_eq!(met(nameless, &ours).await.0, Begun::InProgress);
}
