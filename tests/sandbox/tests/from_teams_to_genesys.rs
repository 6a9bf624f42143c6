//! The stand-ins over their sockets, as the bridge meets them: what a person writes in Teams by the control panel comes as
//! a notification, its photo is fetched from Graph and ends in a conversation in Genesys Cloud.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::{Timestamp, ToSpan};
use reqwest::{Client, Method};
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{BRIDGE_APP, CHAT, COLLEAGUE, OPEN_MESSAGING_INTEGRATION, StandIns, TENANT, Vendor};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What an endpoint does: gives a validation token back, passes notifications on, and serves a photo.
async fn endpoint(
    request: Request<Incoming>,
    heard: UnboundedSender<Value>,
    photo: Arc<Mutex<Bytes>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let url = reqwest::Url::parse(&format!("http://endpoint{}", request.uri())).unwrap();
    let token = url.query_pairs().find(|(name, _)| name == "validationToken").map(|(_, token)| token.into_owned());
    let response = Response::builder();
    if request.method() == Method::GET {
        let photo = photo.lock().unwrap().clone();
        return Ok(response.header("content-type", "image/png").body(Full::new(photo)).unwrap());
    }
    if let Some(token) = token {
        return Ok(response.header("content-type", "text/plain").body(Full::new(token.into())).unwrap());
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    heard.send(serde_json::from_slice(&body).unwrap()).unwrap();
    Ok(response.status(202).body(Full::default()).unwrap())
}

/// Serves an endpoint; gives its origin, and what it hears.
async fn serve(photo: Arc<Mutex<Bytes>>) -> (String, UnboundedReceiver<Value>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (heard, hears) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (heard, photo) = (heard.clone(), photo.clone());
            let service = service_fn(move |request| endpoint(request, heard.clone(), photo.clone()));
            tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await });
        }
    });
    (origin, hears)
}

struct Bridge {
    client: Client,
    stand_ins: StandIns,
    graph_token: String,
    genesys_token: String,
}

impl Bridge {
    async fn start() -> Self {
        let client = Client::builder().no_proxy().build().unwrap();
        let stand_ins = StandIns::start([0; 4]).await.unwrap();
        let entra = stand_ins.world.directory().entra_credential();
        let genesys = stand_ins.world.directory().genesys_credential();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let form = [
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", BRIDGE_APP.to_owned()),
            ("client_secret", text(&entra["client_secret"])),
            ("scope", format!("{}/.default", stand_ins.graph)),
        ];
        let url = format!("{}/{TENANT}/oauth2/v2.0/token", stand_ins.entra);
        let answer: Value = client.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        let graph_token = text(&answer["access_token"]);
        let request = client
            .post(format!("{}/oauth/token", stand_ins.genesys))
            .basic_auth(text(&genesys["client_id"]), Some(text(&genesys["client_secret"])))
            .form(&[("grant_type", "client_credentials")]);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let genesys_token = text(&answer["access_token"]);
        Self { client, stand_ins, graph_token, genesys_token }
    }

    async fn graph(&self, method: Method, path: &str, body: Value) -> reqwest::Response {
        let url =
            if path.starts_with("http") { path.to_owned() } else { format!("{}/v1.0{path}", self.stand_ins.graph) };
        self.client.request(method, url).bearer_auth(&self.graph_token).json(&body).send().await.unwrap()
    }

    async fn genesys(&self, body: &Value) -> u16 {
        let path = format!("/api/v2/conversations/messages/{OPEN_MESSAGING_INTEGRATION}/inbound/open/message");
        let request = self.client.post(format!("{}{path}", self.stand_ins.genesys)).bearer_auth(&self.genesys_token);
        request.json(body).send().await.unwrap().status().as_u16()
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.client.request(method, format!("{}{path}", self.stand_ins.control)).body(body.to_string());
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }
}

#[tokio::test]
async fn what_is_written_in_teams_is_shown_in_genesys_cloud() {
    let photo = Arc::new(Mutex::new(Bytes::new()));
    let (origin, mut hears) = serve(photo.clone()).await;
    let bridge = Bridge::start().await;
    let subscription = json!({
        "changeType": "created", "resource": "/chats/getAllMessages", "notificationUrl": format!("{origin}/n"),
        "lifecycleNotificationUrl": format!("{origin}/l"), "clientState": "of the client",
        "expirationDateTime": Timestamp::now().checked_add(48.hours()).unwrap().to_string(),
    });
    let made = bridge.graph(Method::POST, "/subscriptions", subscription).await;
    assert_eq!(made.status(), 201);

    let written = json!({"from": COLLEAGUE, "text": "look", "photo": true});
    let written = bridge.control(Method::POST, "/teams-messages", written).await;
    let collection = tokio::time::timeout(Duration::from_secs(5), hears.recv()).await.unwrap().unwrap();
    let item = &collection["value"][0];
    let path = format!("/chats/{CHAT}/messages/{}", written["id"].as_str().unwrap());
    assert_eq!(item["resource"], path.replace("/chats/", "chats('").replace("/messages/", "')/messages('") + "')");

    bridge.stand_ins.world.set_chat_budget(20, 20);
    let message: Value = bridge.graph(Method::GET, &path, Value::Null).await.json().await.unwrap();
    let content = message["body"]["content"].as_str().unwrap();
    let source = content.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let image = bridge.graph(Method::GET, source, Value::Null).await;
    assert_eq!(image.headers()["content-type"], "image/png");
    *photo.lock().unwrap() = image.bytes().await.unwrap();
    let size = photo.lock().unwrap().len();
    assert!(size > 0);

    let attachment = json!({"mediaType": "Image", "url": format!("{origin}/photo"), "mime": "image/png"});
    let inbound = json!({
        "channel": {"messageId": message["id"], "time": message["createdDateTime"], "from": {"id": CHAT, "idType": "Opaque"}},
        "text": "look", "content": [{"attachment": attachment}],
    });
    bridge.stand_ins.world.faults.add(Fault::at(Vendor::Genesys, "inbound/open").status(503).percent(100.0, 1));
    assert_eq!(bridge.genesys(&inbound).await, 503);
    bridge.stand_ins.world.faults.clear();
    assert_eq!(bridge.genesys(&inbound).await, 200);
    let conversations = bridge.control(Method::GET, "/genesys-conversations", Value::Null).await;
    let shown = &conversations[0]["messages"];
    assert_eq!((&shown[0]["text"], &shown[1]), (&json!("look"), &Value::Null));
    let file = &shown[0]["attachments"][0];
    assert_eq!(
        (&file["status"], &file["fetchedType"], &file["bytes"]),
        (&json!(200), &json!("image/png"), &json!(size))
    );
}
