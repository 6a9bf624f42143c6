use serde_json::json;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockBuilder, ResponseTemplate};

use super::*;
use crate::remote::{Remote, context};

const AT: &str = "/api/v2/conversations/messages/agentless";

fn call() -> MockBuilder {
    Mock::given(method("POST")).and(path(AT)).and(header("authorization", "Bearer gc-token"))
}

fn message() -> AgentlessMessage {
    AgentlessMessage {
        from_address: "+13175550100".into(),
        to_address: "+447700900123".into(),
        to_address_messenger_type: "sms",
        text_body: "Join".into(),
        use_existing_active_conversation: false,
    }
}

async fn answer(responses: impl IntoIterator<Item = ResponseTemplate>) -> Result<AgentlessReceipt, GenesysError> {
    let remote = Remote::start().await;
    let genesys = GenesysClient::new(remote.genesys().await, remote.uri().parse().unwrap());
    for response in responses {
        remote.expect(call(), 1, response).await;
    }
    genesys.send_agentless_message(&context(10), &message()).await
}

#[tokio::test]
async fn any_2xx_is_an_acceptance_whatever_its_body() {
    let receipt = json!({"id": "m-1", "conversationId": "gc-1", "toAddress": "+447700900123"});
    let expected = AgentlessReceipt { id: "m-1".into(), conversation_id: "gc-1".into() };
    for status in [200, 202] {
        let response = ResponseTemplate::new(status).set_body_json(&receipt);
        assert_eq!(answer([response]).await, Ok(expected.clone()));
    }
    assert_eq!(answer([ResponseTemplate::new(202)]).await, Ok(AgentlessReceipt::default()));
}

#[tokio::test]
async fn a_429_is_sent_again_because_it_was_not_accepted() {
    let throttled = ResponseTemplate::new(429).insert_header("Retry-After", "0.1");
    let taken = ResponseTemplate::new(200).set_body_json(json!({"id": "m-1"}));
    assert!(answer([throttled, taken]).await.is_ok());
}

#[tokio::test]
async fn a_5xx_is_never_sent_again() {
    for status in [500, 502, 503, 504] {
        let failed = ResponseTemplate::new(status).insert_header("Retry-After", "0");
        assert!(matches!(answer([failed]).await, Err(GenesysError::Ambiguous(_))), "{status}");
    }
}
