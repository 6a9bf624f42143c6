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
    let without_conversation = ResponseTemplate::new(202).set_body_json(json!({"id": "m-1", "conversationId": null}));
    assert_eq!(answer([without_conversation]).await.unwrap().id, "m-1");
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

mod external_ids {
    use super::*;

    const USER: &str = "7a3b0c5e-1d2f-4e6a-8b9c-0a1b2c3d4e5f";
    const TEAMS: &str = "11111111-2222-3333-4444-555555555555";
    const SCIM: &str = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User";

    async fn teams_id(platform: (u16, serde_json::Value), scim: Option<(u16, serde_json::Value)>) -> Option<String> {
        let remote = Remote::start().await;
        let genesys = GenesysClient::new(remote.genesys().await, remote.uri().parse().unwrap());
        remote.once("GET", &format!("/api/v2/users/{USER}/externalid"), platform.0, platform.1).await;
        if let Some((status, body)) = scim {
            remote.once("GET", &format!("/api/v2/scim/v2/users/{USER}"), status, body).await;
        }
        let found = genesys.teams_id(&context(10), USER.parse().unwrap()).await.unwrap();
        found.map(|id| id.to_string())
    }

    #[tokio::test]
    async fn the_platform_is_asked_first_and_scim_where_it_does_not_know() {
        let other = json!({"authorityName": "workday", "externalKey": "17"});
        let entry = json!({"authorityName": "MicrosoftTeams", "externalKey": TEAMS.to_uppercase()});
        assert_eq!(teams_id((200, json!([other, entry])), None).await.as_deref(), Some(TEAMS));
        let ids =
            json!([{"authority": "x-pc:scimv2:v1", "value": "1"}, {"authority": "microsoftteams", "value": TEAMS}]);
        let user = json!({"id": USER, "userName": "kim@contoso.com", SCIM: {"externalIds": ids}});
        assert_eq!(teams_id((200, json!([other])), Some((200, user))).await.as_deref(), Some(TEAMS));
    }

    #[tokio::test]
    async fn nobody_and_nonsense_are_no_link() {
        let gone = json!({"message": "", "code": "not.found", "status": 404});
        let scim_gone = json!({"schemas": [], "status": "404", "detail": ""});
        assert_eq!(teams_id((404, gone), Some((404, scim_gone))).await, None);
        let nonsense = json!([{"authorityName": "microsoftteams", "externalKey": "kim@contoso.com"}]);
        assert_eq!(teams_id((200, nonsense), Some((200, json!({"id": USER})))).await, None);
    }
}
