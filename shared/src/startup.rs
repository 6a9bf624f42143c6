//! The parts that a function builds once per process, from its settings.
//!
//! A function names the rooms that it needs. Each room builds what it owns from the parts in this file
//! (`from_startup`). A setting that is missing is noted in the [`Environment`] and reported with all others. So a new
//! room does not touch this file.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

use crate::aws;
use crate::config::Environment;
use crate::http::{Deadline, HttpClient, RequestContext};

/// How long the first request may be kept waiting for warm connections. Lambda allows an init phase ten seconds.
const WARM_UP: Duration = Duration::from_secs(2);

/// How long AWS may take for one attempt; it takes milliseconds.
const AWS_ATTEMPT: Duration = Duration::from_secs(2);

/// The parts that clients are made of.
pub struct Startup<'e> {
    /// The settings, and the problems with them.
    pub env: &'e mut Environment,
    http: HttpClient,
    aws: SdkConfig,
    /// By their types: clients that several rooms ask for, so that they share one token and one connection.
    shared: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Startup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Startup").field("env", &self.env).field("shared", &self.shared.len()).finish_non_exhaustive()
    }
}

impl<'e> Startup<'e> {
    /// Prepares HTTP and AWS access: `SSL_CERT_FILE`. `None` when TLS cannot be set up; that is noted as a problem.
    pub async fn load(env: &'e mut Environment) -> Option<Self> {
        let http = HttpClient::from_env(env)?;
        let aws = aws(&http).await;
        Some(Self { env, http, aws, shared: HashMap::new() })
    }

    /// As [`Self::load`], with AWS access that the caller has configured.
    pub fn with(env: &'e mut Environment, aws: SdkConfig) -> Option<Self> {
        let http = HttpClient::from_env(env)?;
        Some(Self { env, http, aws, shared: HashMap::new() })
    }

    /// A part that the rooms share: the first one that asks has it made, the others get a clone. `None` when it cannot be
    /// made, which is noted as a problem.
    pub fn shared<T>(&mut self, make: impl FnOnce(&mut Self) -> Option<T>) -> Option<T>
    where
        T: Clone + Send + Sync + 'static,
    {
        let made = self.shared.get(&TypeId::of::<T>()).and_then(|part| part.downcast_ref::<T>());
        if let Some(part) = made {
            return Some(part.clone());
        }
        let part = make(self)?;
        self.shared.insert(TypeId::of::<T>(), Box::new(part.clone()));
        Some(part)
    }

    /// The one outbound HTTP client.
    #[must_use]
    pub fn http(&self) -> &HttpClient {
        &self.http
    }

    /// The AWS configuration that clients of AWS are made from.
    #[must_use]
    pub fn aws(&self) -> &SdkConfig {
        &self.aws
    }
}

/// AWS access, as Lambda's environment has it, over the connections of this client.
pub async fn aws(http: &HttpClient) -> SdkConfig {
    // All that is asked of AWS may be asked twice; a request that hangs must not take the agent's time with it.
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(AWS_ATTEMPT).build();
    let client = aws::client(http.connections());
    aws_config::defaults(BehaviorVersion::latest()).http_client(client).timeout_config(timeouts).load().await
}

/// Fetches secrets and tokens and opens connections before the first request, all at once. A step that fails is
/// repeated by the request that needs it.
pub async fn warm_up<F: Future<Output = ()>>(work: impl FnOnce(RequestContext) -> F) {
    let context = RequestContext::new("init", Deadline::after(WARM_UP));
    if tokio::time::timeout(WARM_UP, work(context)).await.is_err() {
        tracing::warn!("the warm-up took too long and was given up");
    }
}
