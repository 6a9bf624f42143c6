//! The keeper of subscriptions over real events: its clients against a Graph that calls the webhook back.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::time::Duration;

use aws_lambda_events::sqs::SqsEvent;
use bridge::edge::{Consumer, EventBridge, QueueOrClock};
use bridge::store::subscriptions::MemorySubscriptionNotes;
use end_to_end::{InProcess, MemoryChanges, invocation};
use renew_subscriptions::{App, handle};
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{
    AGENT_ID, BRIDGE_APP, CHAT, COLLEAGUE_ID, Lifecycle, NewMail, NewMessage, Sender, SubscriptionSettings, TENANT,
    Vendor,
};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const LAMBDA: Duration = Duration::from_secs(120);

/// A tenant, a webhook that Graph can reach, and a keeper.
struct Scene {
    bundle: InProcess,
    webhook: String,
    _webhook: MockServer,
    notes: MemorySubscriptionNotes,
    queue: MemoryChanges,
    keeper: Consumer<App<MemorySubscriptionNotes, MemoryChanges>>,
}

/// A webhook that gives Graph its token back.
async fn webhook() -> MockServer {
    let server = MockServer::start().await;
    let echo = |request: &Request| {
        let token = request.url.query_pairs().find(|(name, _)| name == "validationToken");
        token.map_or(ResponseTemplate::new(202), |(_, token)| ResponseTemplate::new(200).set_body_string(token))
    };
    Mock::given(any()).respond_with(echo).mount(&server).await;
    server
}

fn certificate(id: &str) -> Value {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(["bridge".into()]).unwrap().self_signed(&key).unwrap();
    json!({"id": id, "certificate_pem": certificate.pem(), "private_key_pem": key.serialize_pem()})
}

fn chats() -> String {
    format!("/users/{AGENT_ID}/chats/getAllMessages")
}

fn inbox() -> String {
    format!("/users/{AGENT_ID}/mailFolders('inbox')/messages")
}

impl Scene {
    async fn new() -> Self {
        let (bundle, server) = (InProcess::start().await.unwrap(), webhook().await);
        let webhook = server.uri();
        {
            let mut directory = bundle.stand_ins.world.directory();
            directory.webhook_secret["certificates"] = json!([certificate("first")]);
            let app = directory.apps.get_mut(BRIDGE_APP).unwrap();
            app.permissions.extend(["Chat.Read.All".to_owned(), "Mail.Read".to_owned()]);
        }
        let (notes, queue) = (MemorySubscriptionNotes::default(), MemoryChanges::default());
        let keeper = keeper(&bundle, &webhook, &notes, &queue);
        Self { bundle, webhook, _webhook: server, notes, queue, keeper }
    }

    /// A new instance, as Lambda starts them: it reads the secrets.
    fn restart(&mut self) {
        self.keeper = keeper(&self.bundle, &self.webhook, &self.notes, &self.queue);
    }

    async fn serve(&self, event: QueueOrClock) -> Vec<String> {
        let answer = self.keeper.answer_trigger(event, invocation(LAMBDA), handle).await;
        answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    /// Invokes the function as the schedule does.
    async fn tick(&self) {
        let tick: QueueOrClock = serde_json::from_str(include_str!("../../events/renew-subscriptions.json")).unwrap();
        assert!(self.serve(tick).await.is_empty());
    }

    /// Delivers a lifecycle notification of a subscription.
    async fn told(&self, subscription: &Value, event: &str) -> Vec<String> {
        let mut batch: SqsEvent =
            serde_json::from_str(include_str!("../../events/renew-subscriptions-lifecycle.json")).unwrap();
        let body = batch.records[0].body.as_mut().unwrap();
        let mut queued: Value = serde_json::from_str(body).unwrap();
        queued["subscriptionId"] = subscription["id"].clone();
        queued["lifecycleEvent"] = event.into();
        *body = queued.to_string();
        self.serve(QueueOrClock::Queue(batch)).await
    }

    fn subscription(&self, resource: &str) -> Value {
        let all = self.bundle.stand_ins.world.subscriptions();
        let mut of_resource = all.into_iter().filter(|it| it["resource"] == resource);
        let found = of_resource.next().unwrap_or_default();
        assert_eq!(of_resource.next(), None);
        found
    }

    fn write(&self, text: &str) -> String {
        let sender = Sender::User(COLLEAGUE_ID.into(), "Lee".into());
        self.bundle.stand_ins.world.write_message(CHAT, NewMessage::text(sender, text)).unwrap()
    }

    /// The requests to Graph since the last look.
    fn calls(&self, since: usize) -> Vec<String> {
        let calls = self.bundle.stand_ins.world.calls().split_off(since);
        let of_graph = calls.into_iter().filter(|call| call.vendor == Vendor::Graph);
        of_graph.map(|call| call.request.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" ")).collect()
    }
}

fn keeper(
    bundle: &InProcess,
    webhook: &str,
    notes: &MemorySubscriptionNotes,
    queue: &MemoryChanges,
) -> Consumer<App<MemorySubscriptionNotes, MemoryChanges>> {
    let wanted = json!([
        {"resource": chats(), "changeTypes": "created,updated,deleted", "rich": true},
        {"resource": inbox(), "changeTypes": "created,updated,deleted"},
    ]);
    let variables = [("SUBSCRIPTIONS", wanted.to_string()), ("WEBHOOK_URL", webhook.to_owned())];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    bundle.renew_subscriptions(&variables, notes, queue).unwrap()
}

#[tokio::test]
async fn the_clock_makes_what_is_wanted_and_then_only_looks() {
    let scene = Scene::new().await;
    scene.tick().await;
    let chats = scene.subscription(&chats());
    assert_eq!((&chats["includeResourceData"], &chats["encryptionCertificateId"]), (&json!(true), &json!("first")));
    assert_eq!(chats["lifecycleNotificationUrl"], json!(format!("{}/graph/lifecycle", scene.webhook)));
    assert_eq!(scene.subscription(&inbox())["includeResourceData"], json!(false));
    let before = scene.bundle.stand_ins.world.calls().len();
    scene.tick().await;
    assert_eq!(scene.calls(before), ["GET /v1.0/subscriptions"]);
}

#[tokio::test]
async fn graph_s_wish_to_authorize_is_one_renewal_and_no_second_within_ten_minutes() {
    let scene = Scene::new().await;
    scene.tick().await;
    let world = &scene.bundle.stand_ins.world;
    let id = scene.subscription(&chats())["id"].as_str().unwrap().parse().unwrap();
    world.expire_subscriptions(Some(id), 60 * 60 * 60);
    let before = scene.subscription(&chats());
    let calls = world.calls().len();
    for _ in 0..2 {
        assert_eq!(scene.told(&before, "reauthorizationRequired").await, Vec::<String>::new());
    }
    let patches = scene.calls(calls).iter().filter(|call| call.starts_with("PATCH")).count();
    assert_eq!((patches, world.subscription_hazards()), (1, vec![]));
    let after = scene.subscription(&chats());
    assert!(
        after["id"] == before["id"] && after["expirationDateTime"].as_str() > before["expirationDateTime"].as_str()
    );
}

#[tokio::test]
async fn a_subscription_that_is_removed_is_made_anew_and_nothing_written_meanwhile_is_lost() {
    let scene = Scene::new().await;
    scene.tick().await;
    assert!(scene.queue.take().is_empty(), "nothing was written yet");
    let world = &scene.bundle.stand_ins.world;
    let before = scene.subscription(&chats());
    let id = before["id"].as_str().unwrap().parse().unwrap();
    world.send_lifecycle(Lifecycle::SubscriptionRemoved, Some(id), false);
    let written: Vec<_> = (0..120).map(|n| scene.write(&n.to_string())).collect();
    assert_eq!(scene.told(&before, "subscriptionRemoved").await, Vec::<String>::new());
    assert_ne!(scene.subscription(&chats())["id"], before["id"]);
    let queued = scene.queue.take();
    let expected: Vec<_> = written.iter().map(|id| format!("chats('{CHAT}')/messages('{id}')")).collect();
    assert_eq!(queued.iter().map(|change| change.resource.clone()).collect::<Vec<_>>(), expected);
    let first = &queued[0];
    assert_eq!((first.change_type.as_str(), first.tenant_id.as_str()), ("created", TENANT));
    assert_eq!((first.subscription_id.as_str(), first.resource_type.as_str()), ("", "#Microsoft.Graph.chatMessage"));
}

#[tokio::test]
async fn what_outlook_has_missed_is_found_even_when_it_has_forgotten_where_we_were() {
    let scene = Scene::new().await;
    scene.tick().await;
    let world = &scene.bundle.stand_ins.world;
    let mail = |subject: &str| {
        let new = json!({"from": "ann@example.com", "subject": subject});
        world.put_mail(AGENT_ID, &serde_json::from_value::<NewMail>(new).unwrap())
    };
    let (kept, gone) = (mail("one"), mail("two"));
    world.delete_mail(AGENT_ID, &gone).unwrap();
    let subscription = scene.subscription(&inbox());
    assert!(scene.told(&subscription, "missed").await.is_empty());
    let told = |scene: &Scene| {
        let queued = scene.queue.take();
        queued.into_iter().map(|change| (change.change_type, change.resource)).collect::<Vec<_>>()
    };
    let first = told(&scene);
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(first.contains(&("created".into(), format!("Users/{AGENT_ID}/Messages/{kept}"))), "{first:?}");
    assert!(first.contains(&("deleted".into(), format!("Users/{AGENT_ID}/Messages/{gone}"))), "{first:?}");

    world.expire_delta_tokens();
    // Times of mail have no fractions.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.read_mail(AGENT_ID, &kept).unwrap();
    assert!(scene.told(&subscription, "missed").await.is_empty());
    let second = told(&scene);
    assert!(second.contains(&("updated".into(), format!("Users/{AGENT_ID}/Messages/{kept}"))), "{second:?}");
}

#[tokio::test]
async fn certificate_and_client_state_are_rotated() {
    let mut scene = Scene::new().await;
    scene.tick().await;
    let before = scene.subscription(&chats());
    {
        let mut directory = scene.bundle.stand_ins.world.directory();
        directory.webhook_secret["certificates"].as_array_mut().unwrap().push(certificate("second"));
    }
    scene.restart();
    scene.tick().await;
    let after = scene.subscription(&chats());
    assert_eq!((&after["id"], &after["encryptionCertificateId"]), (&before["id"], &json!("second")));

    scene.bundle.stand_ins.world.directory().webhook_secret["client_state"] = json!("another");
    scene.restart();
    scene.tick().await;
    for resource in [chats(), inbox()] {
        assert_eq!(scene.subscription(&resource)["clientState"], json!("another"));
    }
    assert_ne!(scene.subscription(&chats())["id"], before["id"]);
}

#[tokio::test]
async fn answers_that_get_lost_make_no_second_subscription() {
    let scene = Scene::new().await;
    let faults = &scene.bundle.stand_ins.world.faults;
    faults.add(Fault::at(Vendor::Graph, "POST /v1.0/subscriptions").after().reset());
    faults.add(Fault::at(Vendor::Graph, "POST /v1.0/subscriptions").status(503));
    scene.tick().await;
    scene.tick().await;
    for resource in [chats(), inbox()] {
        assert_ne!(scene.subscription(&resource), Value::Null);
    }
    let before = scene.bundle.stand_ins.world.calls().len();
    scene.tick().await;
    assert_eq!(scene.calls(before), ["GET /v1.0/subscriptions"]);
}

/// The answer of the function to the schedule when it cannot do its work.
async fn refused(scene: &Scene) -> bridge::error::Error {
    let consumer = &scene.keeper;
    let told = std::sync::Mutex::new(None);
    let handle = async |app: &_, cx: &_, trigger| {
        let answer = handle(app, cx, trigger).await?;
        *told.lock().unwrap() = answer.error().cloned();
        Ok(answer)
    };
    let clock = QueueOrClock::Clock { source: EventBridge::Schedule };
    consumer.answer_trigger(clock, invocation(LAMBDA), handle).await;
    told.into_inner().unwrap().unwrap()
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_remedy() {
    let mut scene = Scene::new().await;
    let world = scene.bundle.stand_ins.world.clone();
    world.directory().apps.get_mut(BRIDGE_APP).unwrap().permissions.remove("Chat.Read.All");
    let error = refused(&scene).await;
    assert_eq!(error.code.text(), "permissionMissing");
    assert!(error.message.contains("entry 1 of SUBSCRIPTIONS") && error.message.contains("Chat.Read.All"), "{error}");
    assert_ne!(scene.subscription(&inbox()), Value::Null, "the other is made all the same");

    world.directory().apps.get_mut(BRIDGE_APP).unwrap().permissions.insert("Chat.Read.All".into());
    world.expire_tokens();
    world.set_subscription_limits(SubscriptionSettings { teams_quota: Some(0), ..SubscriptionSettings::default() });
    let error = refused(&scene).await;
    assert!(error.message.contains("no further subscription"), "{error}");

    world.set_subscription_limits(SubscriptionSettings { teams_quota: Some(9), ..SubscriptionSettings::default() });
    let good = std::mem::replace(&mut scene.webhook, "http://127.0.0.1:1".into());
    scene.restart();
    let error = refused(&scene).await;
    assert!(error.message.contains("WEBHOOK_URL"), "{error}");
    scene.webhook = good;
    scene.restart();
    scene.tick().await;
    assert_ne!(scene.subscription(&chats()), Value::Null);
}
