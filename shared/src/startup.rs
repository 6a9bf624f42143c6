//! What a function builds once per process, from its settings.
//!
//! A function names what it needs and gets just that; a setting that is missing is noted in the [`Environment`] and
//! reported with all others.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

use crate::auth::entra::Entra;
use crate::auth::genesys::Login;
use crate::auth::signing_keys::SigningKeys;
use crate::auth::{Authorized, Issuer};
use crate::aws;
use crate::config::{BaseUrl, Environment, GenesysDomain, Origin};
use crate::genesys::GenesysClient;
use crate::graph::GraphClient;
use crate::http::{Deadline, HttpClient, RequestContext};
use crate::media::{MediaSettings, S3Media};
use crate::notification::open::Opener;
use crate::notification::open::validation::ValidationTokens;
use crate::notification::{ClientState, ClientStateSecret, SqsQueues};
use crate::presence::mirror::Reminder;
use crate::relay::back::SqsBack;
use crate::secrets::Secret;
use crate::sinks::Outlets;
use crate::sinks::event_bus::{BusName, EventBridgeBus};
use crate::sinks::open_messaging::{OpenMessaging, OpenMessagingSettings};
use crate::store::DynamoRecords;
use crate::store::chat_names::DynamoChatNames;
use crate::store::deliveries::DynamoDeliveries;
use crate::store::last_presence::DynamoLastPresences;
use crate::store::meetings::DynamoMeetingNotes;
use crate::store::subscriptions::DynamoSubscriptionNotes;
use crate::subscriptions::Certificates;

/// How long the first request may be kept waiting for warm connections. Lambda allows an init phase ten seconds.
const WARM_UP: Duration = Duration::from_secs(2);

/// How long AWS may take for one attempt; it takes milliseconds.
const AWS_ATTEMPT: Duration = Duration::from_secs(2);

/// The parts that clients are made of.
#[derive(Debug)]
pub struct Startup<'e> {
    /// The settings.
    pub env: &'e mut Environment,
    http: HttpClient,
    aws: SdkConfig,
}

impl<'e> Startup<'e> {
    /// Prepares HTTP and AWS access: `SSL_CERT_FILE`. `None` when TLS cannot be set up; that is noted as a problem.
    pub async fn load(env: &'e mut Environment) -> Option<Self> {
        let http = HttpClient::from_env(env)?;
        let aws = aws(&http).await;
        Some(Self { env, http, aws })
    }

    /// As [`Self::load`], with AWS access that somebody else has configured.
    pub fn with(env: &'e mut Environment, aws: SdkConfig) -> Option<Self> {
        let http = HttpClient::from_env(env)?;
        Some(Self { env, http, aws })
    }

    /// Microsoft Graph: `ENTRA_SECRET_ID`, `ENTRA_LOGIN_URL`, `GRAPH_URL`.
    pub fn graph(&mut self) -> Option<GraphClient> {
        let secret_id = self.env.required::<String>("ENTRA_SECRET_ID");
        let login = self.entra_login();
        let base = self.env.or("GRAPH_URL", "https://graph.microsoft.com/v1.0".parse::<BaseUrl>().ok()?);
        let (secret_id, login, base) = (secret_id?, login?, base?);
        let secret = Secret::new(self.secrets(), secret_id);
        let entra = Entra::new(self.http.clone(), login, &base.origin(), secret);
        Some(GraphClient::new(Authorized::new(self.http.clone(), Issuer::Entra(entra)), base))
    }

    /// Genesys Cloud: `GENESYS_SECRET_ID`, `GENESYS_DOMAIN`, or `GENESYS_LOGIN_URL` and `GENESYS_API_URL`.
    pub fn genesys(&mut self) -> Option<GenesysClient> {
        let secret_id = self.env.required::<String>("GENESYS_SECRET_ID");
        let login = self.genesys_origin("GENESYS_LOGIN_URL", "login");
        let api = self.genesys_origin("GENESYS_API_URL", "api");
        let (secret_id, login, api) = (secret_id?, login?, api?);
        let login = Login::new(self.http.clone(), login, Secret::new(self.secrets(), secret_id));
        Some(GenesysClient::new(Authorized::new(self.http.clone(), Issuer::Genesys(login)), api))
    }

    /// The state table: `STATE_TABLE`.
    pub fn records(&mut self) -> Option<DynamoRecords> {
        let table = self.env.required("STATE_TABLE")?;
        Some(DynamoRecords::new(aws_sdk_dynamodb::Client::new(&self.aws), table))
    }

    /// Which meeting was made for a conversation, in the state table: `STATE_TABLE`.
    pub fn meeting_notes(&mut self) -> Option<DynamoMeetingNotes> {
        let table = self.env.required("STATE_TABLE")?;
        Some(DynamoMeetingNotes::new(aws_sdk_dynamodb::Client::new(&self.aws), table))
    }

    /// What was last sent of each presence, in the state table: `STATE_TABLE`.
    pub fn last_presences(&mut self) -> Option<DynamoLastPresences> {
        let table = self.env.required("STATE_TABLE")?;
        Some(DynamoLastPresences::new(aws_sdk_dynamodb::Client::new(&self.aws), table))
    }

    /// Reminds the mirror of its backlog: `PRESENCE_QUEUE_URL`. Without the queue, the clock alone does.
    pub fn presence_reminder(&mut self) -> Option<Option<Reminder>> {
        let url = self.env.optional::<String>("PRESENCE_QUEUE_URL")?;
        Some(url.map(|url| Reminder::new(&self.aws, url)))
    }

    /// What is known of subscriptions, in the state table: `STATE_TABLE`.
    pub fn subscription_notes(&mut self) -> Option<DynamoSubscriptionNotes> {
        let table = self.env.required("STATE_TABLE")?;
        Some(DynamoSubscriptionNotes::new(aws_sdk_dynamodb::Client::new(&self.aws), table))
    }

    /// The client state of subscriptions: `WEBHOOK_SECRET_ID`.
    pub fn subscription_client_state(&mut self) -> Option<Secret<ClientState>> {
        let id = self.env.required("WEBHOOK_SECRET_ID")?;
        Some(Secret::new(self.secrets(), id))
    }

    /// The certificates that notifications are encrypted with: `NOTIFICATION_KEYS_SECRET_ID`, else `WEBHOOK_SECRET_ID`.
    pub fn subscription_certificates(&mut self) -> Option<Secret<Certificates>> {
        let own = self.env.optional::<String>("NOTIFICATION_KEYS_SECRET_ID")?;
        let id = own.or_else(|| self.env.required("WEBHOOK_SECRET_ID"))?;
        Some(Secret::new(self.secrets(), id))
    }

    /// The queue of changes: `NOTIFICATION_QUEUE_URL`.
    pub fn changes(&mut self) -> Option<SqsQueues> {
        let url = self.env.required::<String>("NOTIFICATION_QUEUE_URL")?;
        Some(SqsQueues::new(&self.aws, url.clone(), url))
    }

    /// What was delivered of each resource, in the state table: `STATE_TABLE`.
    pub fn deliveries(&mut self) -> Option<DynamoDeliveries> {
        let table = self.env.required("STATE_TABLE")?;
        Some(DynamoDeliveries::new(aws_sdk_dynamodb::Client::new(&self.aws), table))
    }

    /// Who chats are named after, in the state table: `STATE_TABLE`.
    pub fn chat_names(&mut self) -> Option<DynamoChatNames> {
        let table = self.env.required("STATE_TABLE")?;
        Some(DynamoChatNames::new(aws_sdk_dynamodb::Client::new(&self.aws), table))
    }

    /// Where queued notifications wait or are set aside: `NOTIFICATION_QUEUE_URL`, `NOTIFICATION_DEAD_LETTER_QUEUE_URL`.
    pub fn notifications_back(&mut self) -> Option<SqsBack> {
        let queue = self.env.required::<String>("NOTIFICATION_QUEUE_URL");
        let dead_letters = self.env.required::<String>("NOTIFICATION_DEAD_LETTER_QUEUE_URL");
        Some(SqsBack::new(&self.aws, queue?, dead_letters?))
    }

    /// From notifications to resources: the private keys in `NOTIFICATION_KEYS_SECRET_ID`, else `WEBHOOK_SECRET_ID`, and
    /// Entra's signing keys from `ENTRA_LOGIN_URL`.
    pub fn opener(&mut self, graph: Arc<GraphClient>) -> Option<Opener> {
        let own = self.env.optional::<String>("NOTIFICATION_KEYS_SECRET_ID")?;
        let keys_id = own.or_else(|| self.env.required("WEBHOOK_SECRET_ID"));
        let login = self.entra_login();
        let (keys_id, login) = (keys_id?, login?);
        let signing_keys = SigningKeys::new(self.http.clone(), login.clone());
        let tokens = ValidationTokens::new(signing_keys, login);
        Some(Opener::new(graph, tokens, Secret::new(self.secrets(), keys_id)))
    }

    /// Where notifications go: `OPEN_MESSAGING_INTEGRATION_ID` with what [`OpenMessagingSettings`] and [`Self::genesys`] read,
    /// and `EVENT_BUS`; one of the two at least.
    pub fn outlets(&mut self, graph: Option<Arc<GraphClient>>) -> Option<Outlets> {
        let event_bus = self.event_bus();
        let integration = self.env.optional::<String>("OPEN_MESSAGING_INTEGRATION_ID")?;
        let open_messaging = match integration {
            Some(_) => {
                let (genesys, settings) = (self.genesys(), OpenMessagingSettings::read(self.env));
                let names = self.chat_names();
                let (graph, genesys, settings) = (graph?, Arc::new(genesys?), settings?);
                let store = self.media(&settings.media)?;
                Some(OpenMessaging::new(graph, genesys, store, names?, settings))
            }
            None => None,
        };
        let event_bus = event_bus?;
        if open_messaging.is_none() && event_bus.is_none() {
            self.env.problem("OPEN_MESSAGING_INTEGRATION_ID and EVENT_BUS: expected one of them at least");
            return None;
        }
        Some(Outlets { open_messaging, event_bus })
    }

    /// The bucket of images and files that the settings name.
    pub fn media(&mut self, settings: &MediaSettings) -> Option<S3Media> {
        S3Media::new(self.http.clone(), &self.aws, settings).map_err(|problem| self.env.problem(problem)).ok()
    }

    /// The event bus: `EVENT_BUS`. `Some(None)` when nothing is to be published.
    pub fn event_bus(&mut self) -> Option<Option<EventBridgeBus>> {
        let name = BusName::read(self.env)?;
        Some(name.map(|name| EventBridgeBus::new(aws_sdk_eventbridge::Client::new(&self.aws), name)))
    }

    fn entra_login(&mut self) -> Option<Origin> {
        self.env.or("ENTRA_LOGIN_URL", "https://login.microsoftonline.com".parse::<Origin>().ok()?)
    }

    fn secrets(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.aws)
    }

    fn genesys_origin(&mut self, name: &str, service: &str) -> Option<Origin> {
        if let Some(origin) = self.env.optional(name)? {
            return Some(origin);
        }
        let domain = self.env.required::<GenesysDomain>("GENESYS_DOMAIN")?;
        domain.origin(service).map_err(|error| self.env.problem(format!("GENESYS_DOMAIN: {error}"))).ok()
    }
}

/// AWS access, as Lambda's environment has it, over the connections of this client.
pub async fn aws(http: &HttpClient) -> SdkConfig {
    // All that is asked of AWS may be asked twice; a request that hangs must not take the agent's time with it.
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(AWS_ATTEMPT).build();
    let client = aws::client(http.connections());
    aws_config::defaults(BehaviorVersion::latest()).http_client(client).timeout_config(timeouts).load().await
}

/// What the open door works with: `WEBHOOK_SECRET_ID`, `NOTIFICATION_QUEUE_URL`, and `LIFECYCLE_QUEUE_URL`, without which
/// lifecycle notifications go to the same queue. Not a part of [`Startup`], because it makes no call but to AWS.
pub fn door(env: &mut Environment, aws: &SdkConfig) -> Option<(ClientStateSecret, SqsQueues)> {
    let secret_id = env.required::<String>("WEBHOOK_SECRET_ID");
    let changes_url = env.required::<String>("NOTIFICATION_QUEUE_URL");
    let lifecycle_url = env.optional::<String>("LIFECYCLE_QUEUE_URL");
    let (secret_id, changes_url) = (secret_id?, changes_url?);
    let lifecycle_url = lifecycle_url?.unwrap_or_else(|| changes_url.clone());
    let secret = Secret::new(aws_sdk_secretsmanager::Client::new(aws), secret_id);
    Some((ClientStateSecret::new(secret), SqsQueues::new(aws, changes_url, lifecycle_url)))
}

/// Fetches secrets and tokens and opens connections before the first request, all at once. Whatever fails is tried
/// again by the request that needs it.
pub async fn warm_up<F: Future<Output = ()>>(work: impl FnOnce(RequestContext) -> F) {
    let context = RequestContext::new("init", Deadline::after(WARM_UP));
    if tokio::time::timeout(WARM_UP, work(context)).await.is_err() {
        tracing::warn!("the warm-up took too long and was given up");
    }
}
