//! Runs the handlers in this process: real clients against the stand-ins, real events, records in memory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::sqs::SqsEvent;
use aws_sdk_secretsmanager::config::Credentials;
use bridge::config::Environment;
use bridge::edge::{Answer, Consumer, Function, GraphSender, HttpEvent, Request, Webhook};
use bridge::error::Error;
use bridge::genesys::GenesysClient;
use bridge::graph::GraphClient;
use bridge::http::RequestContext;
use bridge::meeting::MeetingSettings;
use bridge::notification::queued::queue::NotificationQueue;
use bridge::notification::{
    Change, ClientState, ClientStateSecret, QueueEntry, QueueError, Queued, Queues, ReceiverSettings, SqsQueues,
};
use bridge::presence::PresenceSettings;
use bridge::presence::mirror::{MirrorSettings, PresenceTable};
use bridge::sms::SmsSettings;
use bridge::startup::Startup;
use bridge::store::MemoryRecords;
use bridge::store::last_presence::{DynamoLastPresences, MemoryLastPresences};
use bridge::store::meetings::MemoryMeetingNotes;
use bridge::store::subscriptions::MemorySubscriptionNotes;
use bridge::subscriptions::{Certificates, KeeperSettings};
use bridge::teams::TeamsClient;
use lambda_runtime::Context;
use sandbox::Trouble;
use sandbox::genesys_event::GenesysEvent;
use sandbox::stand_ins::aws::{ENTRA_SECRET, GENESYS_SECRET, WEBHOOK_SECRET};
use sandbox::stand_ins::{SMS_NUMBER, StandIns};
use serde::Serialize;
use serde_json::{Value, json};

/// The stand-ins, and the settings that the functions need to reach them.
#[derive(Debug)]
pub struct InProcess {
    /// The stand-ins that the functions call.
    pub stand_ins: StandIns,
    aws: SdkConfig,
    /// The notes of meetings, which the functions share as they share the state table.
    notes: MemoryMeetingNotes,
}

impl InProcess {
    /// Starts the stand-ins on free ports.
    ///
    /// # Errors
    /// When they have no port.
    pub async fn start() -> Result<Self, Trouble> {
        let stand_ins = StandIns::start([0; 4]).await?;
        let aws = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(&stand_ins.aws)
            .load()
            .await;
        Ok(Self { stand_ins, aws, notes: MemoryMeetingNotes::default() })
    }

    fn environment(&self) -> Environment {
        self.environment_with(&[])
    }

    fn environment_with(&self, more: &[(&str, &str)]) -> Environment {
        let graph = format!("{}/v1.0", self.stand_ins.graph);
        let queue = format!("{}/000000000000/notifications.fifo", self.stand_ins.aws);
        let common = [
            ("ENTRA_SECRET_ID", ENTRA_SECRET),
            ("ENTRA_LOGIN_URL", &self.stand_ins.entra),
            ("GRAPH_URL", &graph),
            ("DEFAULT_ORGANIZER", "bridge@contoso.com"),
            ("GENESYS_SECRET_ID", GENESYS_SECRET),
            ("GENESYS_LOGIN_URL", &self.stand_ins.genesys),
            ("GENESYS_API_URL", &self.stand_ins.genesys),
            ("SMS_FROM", SMS_NUMBER),
            ("SMS_COUNTRY", "GB"),
            ("WEBHOOK_SECRET_ID", WEBHOOK_SECRET),
            ("NOTIFICATION_QUEUE_URL", &queue),
            ("NOTIFICATION_DEAD_LETTER_QUEUE_URL", &queue),
        ];
        Environment::of(common.into_iter().chain(more.iter().copied()))
    }

    /// The client of the bot, which no function has yet; `None` when its settings are wrong.
    #[must_use]
    pub fn teams(&self) -> Option<TeamsClient> {
        let url = self.stand_ins.world.bot_service_url();
        let host = self.stand_ins.teams.trim_start_matches("http://");
        let mut env = self.environment_with(&[("BOT_SERVICE_HOSTS", host), ("BOT_SERVICE_URL", &url)]);
        TeamsClient::from_startup(&mut Startup::with(&mut env, self.aws.clone())?)
    }

    /// The function `create-meeting`; `None` when its settings are wrong.
    #[must_use]
    pub fn create_meeting(&self) -> Option<Function<create_meeting::App<MemoryMeetingNotes>>> {
        let mut env = self.environment();
        let mut startup = Startup::with(&mut env, self.aws.clone())?;
        let graph = GraphClient::from_startup(&mut startup)?;
        let app = create_meeting::App::new(graph, self.notes.clone(), MeetingSettings::read(startup.env)?);
        Some(Function::of(create_meeting::ROUTE, Ok(app)))
    }

    /// The function `send-sms`; `None` when its settings are wrong.
    #[must_use]
    pub fn send_sms(&self) -> Option<Function<send_sms::App<MemoryRecords>>> {
        self.send_sms_with(&[])
    }

    /// The function `send-sms` with these settings in place of the usual ones.
    #[must_use]
    pub fn send_sms_with(&self, settings: &[(&str, &str)]) -> Option<Function<send_sms::App<MemoryRecords>>> {
        let mut env = self.environment_with(settings);
        let mut startup = Startup::with(&mut env, self.aws.clone())?;
        let genesys = GenesysClient::from_startup(&mut startup)?;
        let app = send_sms::App::new(genesys, MemoryRecords::default(), SmsSettings::read(startup.env)?);
        Some(Function::of(send_sms::ROUTE, Ok(app)))
    }

    /// The function `escalate`; `None` when its settings are wrong.
    #[must_use]
    pub fn escalate(&self) -> Option<Function<escalate::App<MemoryRecords, MemoryMeetingNotes>>> {
        let mut env = self.environment();
        let mut startup = Startup::with(&mut env, self.aws.clone())?;
        let (graph, genesys) = (GraphClient::from_startup(&mut startup)?, GenesysClient::from_startup(&mut startup)?);
        let (meetings, messages) = (MeetingSettings::read(startup.env)?, SmsSettings::read(startup.env)?);
        let app =
            escalate::App::new(graph, genesys, (MemoryRecords::default(), self.notes.clone()), meetings, messages);
        Some(Function::of(escalate::ROUTE, Ok(app)))
    }
}

impl InProcess {
    /// The function `update-presence`; `None` when its settings are wrong.
    #[must_use]
    pub fn update_presence(&self) -> Option<Function<update_presence::App>> {
        self.update_presence_with(&[])
    }

    /// The function `update-presence` with these variables beside the usual ones; `None` when its settings are wrong.
    #[must_use]
    pub fn update_presence_with(&self, more: &[(&str, &str)]) -> Option<Function<update_presence::App>> {
        let mut env = self.environment_with(more);
        let mut startup = Startup::with(&mut env, self.aws.clone())?;
        let (graph, genesys) = (GraphClient::from_startup(&mut startup)?, GenesysClient::from_startup(&mut startup)?);
        let app = update_presence::App::new(graph, genesys, PresenceSettings::read(startup.env)?);
        Some(Function::of(update_presence::ROUTE, Ok(app)))
    }

    /// The function `mirror-presence`; `None` when its settings are wrong.
    #[must_use]
    pub fn mirror_presence(&self) -> Option<Consumer<mirror_presence::App<MemoryLastPresences>>> {
        self.mirror_presence_on(MemoryLastPresences::default())
    }

    /// The function `mirror-presence` on the stand-in's table; `None` when its settings are wrong.
    #[must_use]
    pub fn mirror_presence_on_table(&self) -> Option<Consumer<mirror_presence::App>> {
        let client = aws_sdk_dynamodb::Client::new(&self.aws);
        self.mirror_presence_on(DynamoLastPresences::new(client, "records".into()))
    }

    fn mirror_presence_on<S: PresenceTable>(&self, last: S) -> Option<Consumer<mirror_presence::App<S>>> {
        let mut env = self.environment();
        let mut startup = Startup::with(&mut env, self.aws.clone())?;
        let (graph, genesys) = (GraphClient::from_startup(&mut startup)?, GenesysClient::from_startup(&mut startup)?);
        let settings = MirrorSettings::read(startup.env)?;
        let app = mirror_presence::App::new(graph, genesys, last, None, settings);
        Some(Consumer::of(mirror_presence::FUNCTION, Ok(app)))
    }
}

/// A queue of changes in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryChanges(Arc<Mutex<Vec<Change>>>);

impl MemoryChanges {
    /// Takes all changes off the queue.
    #[must_use]
    pub fn take(&self) -> Vec<Change> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Queues for MemoryChanges {
    async fn send(
        &self,
        _cx: &RequestContext,
        _to: NotificationQueue,
        entries: Vec<QueueEntry>,
    ) -> Result<(), QueueError> {
        let changes = entries.iter().filter_map(|entry| match serde_json::from_str(&entry.body) {
            Ok(Queued::Change(change)) => Some(change),
            _ => None,
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(changes);
        Ok(())
    }
}

impl InProcess {
    /// The function `renew-subscriptions` with these subscriptions, this webhook, these notes and this queue; `None`
    /// when its settings are wrong.
    #[must_use]
    pub fn renew_subscriptions(
        &self,
        variables: &[(&str, &str)],
        notes: &MemorySubscriptionNotes,
        queue: &MemoryChanges,
    ) -> Option<Consumer<renew_subscriptions::App<MemorySubscriptionNotes, MemoryChanges>>> {
        let mut env = self.environment_with(variables);
        let mut startup = Startup::with(&mut env, self.aws.clone())?;
        let graph = GraphClient::from_startup(&mut startup)?;
        let secrets =
            (ClientState::secret_from_startup(&mut startup)?, Certificates::secret_from_startup(&mut startup)?);
        let settings = KeeperSettings::read(startup.env)?;
        let app = renew_subscriptions::App::new(graph, secrets, notes.clone(), queue.clone(), settings);
        Some(Consumer::of(renew_subscriptions::FUNCTION, Ok(app)))
    }
}

impl InProcess {
    /// The function `graph-webhook`; `None` when its settings are wrong.
    #[must_use]
    pub fn graph_webhook(&self) -> Option<Webhook<GraphSender, graph_webhook::App>> {
        let mut env = self.environment();
        let mut startup = Startup::with(&mut env, self.aws.clone())?;
        let states = ClientStateSecret::from_startup(&mut startup)?;
        let queues = SqsQueues::from_startup(&mut startup)?;
        let app = graph_webhook::App::new(queues, ReceiverSettings::read(startup.env)?);
        Some(Webhook::of(graph_webhook::FUNCTION, Ok((GraphSender::new(states), app))))
    }

    /// The check of `graph-webhook`, with a handler that does nothing.
    #[must_use]
    pub fn graph_check(&self) -> Option<Webhook<GraphSender, ()>> {
        let mut env = self.environment();
        let states = ClientStateSecret::from_startup(&mut Startup::with(&mut env, self.aws.clone())?)?;
        Some(Webhook::of(graph_webhook::FUNCTION, Ok((GraphSender::new(states), ()))))
    }
}

/// An event of `tests/events` with another body, if one is given.
///
/// # Panics
/// When there is no such event: a test that needs it has failed.
#[must_use]
#[expect(clippy::expect_used, reason = "used by tests only, where a panic is a failed test")]
pub fn event(function: &str, body: Option<&Value>) -> HttpEvent {
    let path = checkout::root().join(format!("tests/events/{function}.json"));
    let text = std::fs::read_to_string(path).expect("an event of this name");
    let mut event: HttpEvent = serde_json::from_str(&text).expect("an HTTP API event");
    if let Some(body) = body {
        event.body = Some(body.to_string());
    }
    event
}

/// The batch of `tests/events`: one presence of the sandbox's agent.
///
/// # Panics
/// When there is none: a test that needs it has failed.
#[must_use]
#[expect(clippy::expect_used, reason = "used by tests only, where a panic is a failed test")]
pub fn presence_batch() -> SqsEvent {
    serde_json::from_str(include_str!("../../events/mirror-presence.json")).expect("an SQS event")
}

/// The same batch with this event in place of its own.
#[must_use]
pub fn presence_batch_of(event: &GenesysEvent) -> SqsEvent {
    let mut batch = presence_batch();
    for record in &mut batch.records {
        let envelope = json!({"detail-type": event.detail_type, "detail": event.detail});
        record.body = Some(envelope.to_string());
    }
    batch
}

/// Lets a function answer an event within this time. Returns HTTP status and body.
pub async fn answer<A, F: Serialize + Default>(
    function: &Function<A>,
    event: HttpEvent,
    within: Duration,
    handle: impl AsyncFn(&A, Request) -> Result<Answer<F>, Error>,
) -> (i64, Value) {
    body_of(&function.answer(event, invocation(within), handle).await)
}

/// The context of an invocation that may last this long.
#[must_use]
pub fn invocation(within: Duration) -> Context {
    let mut lambda = Context::default();
    lambda.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".into();
    let ends = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + within;
    lambda.deadline = u64::try_from(ends.as_millis()).unwrap_or(u64::MAX);
    lambda
}

fn body_of(response: &ApiGatewayV2httpResponse) -> (i64, Value) {
    let body = response.body.as_ref().map(|body| serde_json::from_slice(body.as_ref()).unwrap_or_default());
    (response.status_code, body.unwrap_or_default())
}
