//! What a function builds once per process, from its settings.
//!
//! A function names what it needs and gets just that; a setting that is missing is noted in the [`Environment`] and
//! reported with all others.

use std::future::Future;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

use crate::auth::entra::Entra;
use crate::auth::genesys::Login;
use crate::auth::{Authorized, Issuer};
use crate::config::{BaseUrl, Environment, GenesysDomain, Origin};
use crate::genesys::GenesysClient;
use crate::graph::GraphClient;
use crate::http::{Deadline, HttpClient, RequestContext};
use crate::notification::event_bus::{BusName, EventBridgeBus};
use crate::notification::media::{MediaSettings, S3Media};
use crate::secrets::Secret;
use crate::store::DynamoRecords;
use crate::store::last_presence::DynamoLastPresences;

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
    /// Prepares HTTP and AWS access. `None` when TLS cannot be set up; that is noted as a problem.
    pub async fn load(env: &'e mut Environment) -> Option<Self> {
        // All that is asked of AWS may be asked twice; a request that hangs must not take the agent's time with it.
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(AWS_ATTEMPT).build();
        let aws = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts).load().await;
        Self::with(env, aws)
    }

    /// As [`Self::load`], with AWS access that somebody else has configured.
    pub fn with(env: &'e mut Environment, aws: SdkConfig) -> Option<Self> {
        match HttpClient::new() {
            Ok(http) => Some(Self { env, http, aws }),
            Err(error) => {
                env.problem(format!("outbound TLS cannot be set up ({error})"));
                None
            }
        }
    }

    /// Microsoft Graph: `ENTRA_SECRET_ID`, `ENTRA_LOGIN_URL`, `GRAPH_URL`.
    pub fn graph(&mut self) -> Option<GraphClient> {
        let secret_id = self.env.required::<String>("ENTRA_SECRET_ID");
        let login = self.env.or("ENTRA_LOGIN_URL", "https://login.microsoftonline.com".parse::<Origin>().ok()?);
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

    /// What was last sent of each presence, in the state table: `STATE_TABLE`.
    pub fn last_presences(&mut self) -> Option<DynamoLastPresences> {
        let table = self.env.required("STATE_TABLE")?;
        Some(DynamoLastPresences::new(aws_sdk_dynamodb::Client::new(&self.aws), table))
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

/// Fetches secrets and tokens and opens connections before the first request, all at once. Whatever fails is tried
/// again by the request that needs it.
pub async fn warm_up<F: Future<Output = ()>>(work: impl FnOnce(RequestContext) -> F) {
    let context = RequestContext::new("init", Deadline::after(WARM_UP));
    if tokio::time::timeout(WARM_UP, work(context)).await.is_err() {
        tracing::warn!("the warm-up took too long and was given up");
    }
}
