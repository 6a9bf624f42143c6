use axum::body::{Body, to_bytes};
use tower::ServiceExt;

use super::super::{AGENT, AGENT_GENESYS_ID, AGENT_ID, GenesysUser};
use super::*;

const EXTENSION: &str = "urn:ietf:params:scim:schemas:extension:genesys:purecloud:2.0:User";

pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

pub(super) struct Genesys {
    pub(super) world: Arc<World>,
    router: Router,
    pub(super) token: String,
}

impl Genesys {
    pub(super) async fn new() -> Self {
        let world = World::without_sockets().unwrap();
        let mut genesys = Self { router: router(world.clone()), world, token: String::new() };
        let credentials = format!("{CLIENT_ID}:{}", genesys.world.directory().genesys_secret);
        let request = Request::post("/oauth/token")
            .header("authorization", format!("Basic {}", BASE64_STANDARD.encode(credentials)))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from("grant_type=client_credentials"))
            .unwrap();
        genesys.token = genesys.send(request).await.body["access_token"].as_str().unwrap().to_owned();
        genesys
    }

    pub(super) async fn send(&self, request: Request) -> Got {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Got { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Got {
        self.get_with(path, "x-none", "").await
    }

    async fn get_with(&self, path: &str, header: &str, value: &str) -> Got {
        let request = Request::get(format!("/api/v2/{path}"));
        let request = request.header("authorization", format!("Bearer {}", self.token)).header(header, value);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    fn put(&self, teams_id: Option<&str>, scim_teams_id: Option<&str>) {
        let (teams_id, scim_teams_id) = (teams_id.map(str::to_owned), scim_teams_id.map(str::to_owned));
        let user = GenesysUser { id: "u-1".into(), user_name: "u@contoso.com".into(), teams_id, scim_teams_id };
        self.world.directory().put_genesys_user(user);
    }
}

fn authorities(body: &Value) -> Vec<(&str, &str)> {
    let entries = body[EXTENSION]["externalIds"].as_array().unwrap().iter();
    let mut pairs: Vec<_> =
        entries.map(|entry| (entry["authority"].as_str().unwrap(), entry["value"].as_str().unwrap())).collect();
    pairs.sort_unstable();
    pairs
}

#[tokio::test]
async fn external_ids_of_the_platform() {
    let genesys = Genesys::new().await;
    let entry = json!({
        "authorityName": "microsoftteams", "externalKey": AGENT_ID,
        "selfUri": format!("/api/v2/users/{AGENT_GENESYS_ID}/externalid/microsoftteams"),
    });
    let all = genesys.get(&format!("users/{AGENT_GENESYS_ID}/externalid")).await;
    assert_eq!((all.status, all.body), (200, json!([entry])));
    let one = genesys.get(&format!("users/{AGENT_GENESYS_ID}/externalid/microsoftteams")).await;
    assert_eq!((one.status, one.body), (200, entry));
    genesys.put(Some("ab-1"), None);
    let linked = genesys.get("users/externalid/microsoftteams/ab-1").await;
    assert_eq!((linked.status, &linked.body["id"]), (200, &json!("u-1")));
    for unknown in ["microsoftteams/AB-1", "microsoftteams/u-1", "zoom/ab-1"] {
        assert_eq!(genesys.get(&format!("users/externalid/{unknown}")).await.status, 404, "{unknown}");
    }
    genesys.put(None, Some("only in SCIM"));
    let none = genesys.get("users/u-1/externalid").await;
    assert_eq!((none.status, none.body), (200, json!([])));
    for path in
        ["users/u-1/externalid/microsoftteams", "users/nobody/externalid", "users/nobody/externalid/microsoftteams"]
    {
        let got = genesys.get(path).await;
        assert_eq!((got.status, &got.body["code"], &got.body["status"]), (404, &json!("not.found"), &json!(404)));
        assert!(got.body["contextId"].is_string() && got.headers.contains_key("inin-correlation-id"), "{path}");
    }
    let got = genesys.get(&format!("users/{AGENT_GENESYS_ID}/externalid/zoom")).await;
    assert_eq!(got.status, 404);
}

#[tokio::test]
async fn scim_shows_the_attributes_that_are_asked_for() {
    let genesys = Genesys::new().await;
    let own = |id| ("x-pc:scimv2:v1:sandbox", id);
    let attribute = format!("{EXTENSION}:externalIds").replace(':', "%3A");
    for path in ["scim/v2/users", "scim/users"] {
        let got = genesys.get(&format!("{path}/{AGENT_GENESYS_ID}?attributes={attribute}")).await;
        assert_eq!(got.status, 200);
        let mut keys: Vec<&str> = got.body.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["active", "id", "meta", "schemas", EXTENSION, "userName"]);
        assert_eq!((&got.body["id"], &got.body["userName"]), (&json!(AGENT_GENESYS_ID), &json!(AGENT)));
        assert_eq!(authorities(&got.body), [("microsoftteams", AGENT_ID), own(AGENT_GENESYS_ID)]);
        assert_eq!(got.body["meta"]["version"], got.headers["etag"].to_str().unwrap());
        let whole = genesys.get(&format!("{path}/{AGENT_GENESYS_ID}")).await.body;
        assert_eq!(authorities(&whole).len(), 2);
        assert!(whole["emails"].is_array());
        let other = genesys.get(&format!("{path}/{AGENT_GENESYS_ID}?attributes=emails,title")).await.body;
        assert!(other["emails"].is_array() && other[EXTENSION].is_null());
    }
    genesys.put(None, Some("only in SCIM"));
    let body = genesys.get("scim/v2/users/u-1").await.body;
    assert_eq!(authorities(&body), [("microsoftteams", "only in SCIM"), own("u-1")]);
    genesys.put(None, None);
    let body = genesys.get("scim/v2/users/u-1").await.body;
    assert_eq!(authorities(&body), [own("u-1")]);
}

#[tokio::test]
async fn scim_knows_versions_and_refuses_in_its_own_form() {
    let genesys = Genesys::new().await;
    genesys.put(None, None);
    let tag = genesys.get("scim/v2/users/u-1").await.headers["etag"].to_str().unwrap().to_owned();
    let got = genesys.get_with("scim/v2/users/u-1", "if-none-match", &tag).await;
    assert_eq!((got.status, got.body), (304, Value::Null));
    genesys.put(Some(AGENT_ID), None);
    assert_eq!(genesys.get_with("scim/v2/users/u-1", "if-none-match", &tag).await.status, 200);
    let expected = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "404", "detail": "User nobody not found.",
    });
    let got = genesys.get("scim/v2/users/nobody").await;
    assert_eq!((got.status, got.body), (404, expected));
    genesys.world.expire_tokens();
    assert_eq!(genesys.get("scim/users/u-1").await.body["status"], "401");
    let got = genesys.get("users/u-1/externalid").await;
    assert_eq!((got.status, &got.body["code"]), (401, &json!("bad.credentials")));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_for_so_many_requests_a_minute() {
    let genesys = Genesys::new().await;
    let path = format!("users/{AGENT_GENESYS_ID}/externalid");
    for used in 1..=300 {
        let got = genesys.get(&path).await;
        assert_eq!(got.status, 200);
        assert_eq!(got.headers["inin-ratelimit-count"], used.to_string());
    }
    tokio::time::advance(Duration::from_secs(20)).await;
    let got = genesys.get(&path).await;
    assert_eq!((got.status, &got.body["code"]), (429, &json!("too.many.requests.retry.after")));
    assert!(got.body["message"].as_str().unwrap().contains("[40] seconds"));
    assert_eq!(got.headers["retry-after"], "40");
    assert_eq!(got.headers["inin-ratelimit-allowed"], "300");
    assert_eq!(got.headers["inin-ratelimit-reset"], "40");
    let scim = genesys.get(&format!("scim/v2/users/{AGENT_GENESYS_ID}")).await;
    assert_eq!((scim.status, &scim.body["status"]), (429, &json!("429")));
    assert_eq!(scim.headers["retry-after"], "40");
    tokio::time::advance(Duration::from_secs(40)).await;
    assert_eq!(genesys.get(&path).await.status, 200);
    genesys.world.directory().genesys_rate_per_minute = 1;
    assert_eq!(genesys.get(&path).await.status, 429);
}

#[tokio::test]
async fn scim_lists_users_by_the_page_and_large_ones_with_few_attributes() {
    let genesys = Genesys::new().await;
    for number in 0..130 {
        let id = format!("a-{number:03}");
        let user_name = format!("{id}@contoso.com");
        let teams_id = (number % 2 == 0).then(|| format!("t-{number:03}"));
        genesys.world.directory().put_genesys_user(GenesysUser { id, user_name, teams_id, scim_teams_id: None });
    }
    let ids = |got: &Got| -> Vec<String> {
        let users = got.body["Resources"].as_array().unwrap().iter();
        users.map(|user| user["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = genesys.get("scim/v2/users").await;
    assert_eq!((first.status, ids(&first).len(), first.body["itemsPerPage"].as_u64()), (200, 25, Some(25)));
    let total = first.body["totalResults"].as_u64().unwrap();
    let refused = genesys.get("scim/v2/users?count=100").await;
    assert_eq!((refused.status, refused.body["status"].as_str()), (429, Some("429")));
    let attributes = format!("attributes={EXTENSION}:externalIds");
    let large = genesys.get(&format!("scim/v2/users?count=500&{attributes}")).await;
    assert_eq!((large.status, ids(&large).len()), (200, 100));
    let rest = genesys.get(&format!("scim/v2/users?count=100&startIndex=101&{attributes}")).await;
    assert_eq!(ids(&large).len() + ids(&rest).len(), usize::try_from(total).unwrap());
    assert!(ids(&large).iter().all(|id| !ids(&rest).contains(id)));
    assert!(large.body["Resources"][0][EXTENSION]["externalIds"].is_array());
    let none = genesys.get("scim/v2/users?count=0").await;
    assert_eq!((ids(&none).len(), none.body["totalResults"].as_u64()), (0, Some(total)));
}
