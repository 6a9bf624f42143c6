//! An app that follows its settings: it is built anew when a setting in a parameter or an object has changed.
//!
//! Nobody redeploys to add one subscription, and an instance may live for hours. So each instance reads such settings
//! again once a minute, and goes on as a new instance would. While they cannot be read, or are wrong, it goes on with
//! the settings it has.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio::time::Instant;

use crate::config::{ConfigError, Environment};
use crate::http::{Deadline, HttpClient, RequestContext};
use crate::parameters::{Parameters, SettingRead};

/// How long an instance uses settings before it reads them again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// How long reading the settings may take, when an instance starts and within a request.
const SETTINGS_PATIENCE: Duration = Duration::from_secs(3);

type Remake<A> = Box<dyn Fn(Environment) -> LocalBoxFuture<'static, Result<A, ConfigError>>>;

/// An app, and the way to build it anew.
pub(crate) struct Live<A> {
    state: RwLock<LiveState<A>>,
    /// The settings to follow; `None` when all of them are in the environment.
    follows: Option<Follows<A>>,
}

struct LiveState<A> {
    app: Result<A, ConfigError>,
    read: Vec<SettingRead>,
    look_again: Instant,
}

struct Follows<A> {
    env: Environment,
    parameters: Parameters,
    remake: Remake<A>,
}

impl<A> fmt::Debug for Live<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters = self.follows.as_ref().map(|follows| &follows.parameters);
        f.debug_struct("Live").field("parameters", &parameters).finish_non_exhaustive()
    }
}

impl<A> Live<A> {
    /// An app that stays as it is, or the problems with its settings.
    pub(crate) fn of(app: Result<A, ConfigError>) -> Self {
        Self::with(app, Vec::new(), None)
    }

    /// An app of these settings, including those in parameters and objects.
    pub(crate) async fn start(
        mut env: Environment,
        aws: impl AsyncFnOnce(&HttpClient) -> SdkConfig,
        from_env: impl AsyncFn(&mut Environment) -> Option<A> + 'static,
    ) -> Self {
        let from_env = Arc::new(from_env);
        let Some(parameters) = Parameters::named_by(&mut env, aws).await else {
            let app = from_env(&mut env).await;
            return Self::with(env.finish(app), Vec::new(), None);
        };
        let remake = move |mut env: Environment| -> LocalBoxFuture<'static, Result<A, ConfigError>> {
            let from_env = from_env.clone();
            Box::pin(async move {
                let app = from_env(&mut env).await;
                env.finish(app)
            })
        };
        let follows = Follows { env, parameters, remake: Box::new(remake) };
        let read = follows.parameters.read(&RequestContext::new("init", Deadline::after(SETTINGS_PATIENCE))).await;
        let app = follows.make(&read).await;
        Self::with(app, read, Some(follows))
    }

    fn with(app: Result<A, ConfigError>, read: Vec<SettingRead>, follows: Option<Follows<A>>) -> Self {
        if let Err(error) = &app {
            tracing::error!(%error, "the function cannot work");
        }
        let state = LiveState { app, read, look_again: Instant::now() + LOOK_AGAIN_AFTER };
        Self { state: RwLock::new(state), follows }
    }

    /// The app as the settings are now, or the problems with them.
    pub(crate) async fn current(&self, cx: &RequestContext) -> RwLockReadGuard<'_, Result<A, ConfigError>> {
        if let Some(follows) = &self.follows {
            let state = self.state.read().await;
            // An instance that cannot work reads its settings each time, so that it works as soon as they are
            // corrected.
            let is_due = state.app.is_err() || state.look_again <= Instant::now();
            drop(state);
            if is_due {
                // Boxed: the rare case should not make every request's future large.
                Box::pin(self.look_again(follows, cx)).await;
            }
        }
        RwLockReadGuard::map(self.state.read().await, |state| &state.app)
    }

    async fn look_again(&self, follows: &Follows<A>, cx: &RequestContext) {
        let read = match tokio::time::timeout(SETTINGS_PATIENCE, follows.parameters.read(cx)).await {
            Ok(read) => read,
            Err(_elapsed) => {
                cx.record.fallback("settingsNotRead");
                self.state.write().await.look_again = Instant::now() + LOOK_AGAIN_AFTER;
                return;
            }
        };
        let mut state = self.state.write().await;
        state.look_again = Instant::now() + LOOK_AGAIN_AFTER;
        if read == state.read && state.app.is_ok() {
            return;
        }
        match follows.make(&read).await {
            Ok(app) => {
                tracing::info!("the settings have changed, and the function uses the new ones");
                state.app = Ok(app);
                state.read = read;
            }
            Err(error) if state.app.is_ok() => {
                tracing::error!(%error, "the changed settings cannot be used, and the function keeps those it has");
                cx.record.fallback("settingsNotRead");
            }
            Err(error) => state.app = Err(error),
        }
    }
}

impl<A> Follows<A> {
    async fn make(&self, read: &[SettingRead]) -> Result<A, ConfigError> {
        let mut env = self.env.clone();
        for (setting, text) in read {
            match text {
                Ok(text) => env.put(setting, text),
                Err(error) => {
                    env.withhold(setting);
                    env.problem(format!("{setting}_PARAMETER: {error}"));
                }
            }
        }
        (self.remake)(env).await
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use serde_json::json;
    use wiremock::matchers::method;
    use wiremock::{Mock, ResponseTemplate};

    use super::*;
    use crate::remote::{Remote, context};

    async fn number(remote: &Remote) -> Live<u16> {
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "AKID", "secret", None, None, "test",
            )))
            .endpoint_url(remote.uri())
            .build();
        let env = Environment::of([("NUMBER_PARAMETER", "/bridge/number")]);
        Live::start(env, async |_: &HttpClient| aws, async |env: &mut Environment| env.required("NUMBER")).await
    }

    async fn holds(remote: &Remote, text: &str) {
        let answer = json!({"Parameter": {"Value": text}});
        remote.expect(Mock::given(method("POST")), 1, ResponseTemplate::new(200).set_body_json(answer)).await;
    }

    async fn fails(remote: &Remote, kind: &str) {
        let answer = ResponseTemplate::new(400).set_body_json(json!({"__type": kind}));
        remote.expect(Mock::given(method("POST")), 1, answer).await;
    }

    async fn now(live: &Live<u16>) -> Result<u16, String> {
        live.current(&context(10)).await.clone().map_err(|error| error.to_string())
    }

    /// Lets a minute pass for the app alone: the test's connections know the real time.
    async fn a_minute_later(live: &Live<u16>) {
        live.state.write().await.look_again = Instant::now();
    }

    #[tokio::test]
    async fn a_warm_instance_notices_a_change_within_a_minute_and_asks_no_more_often() {
        let remote = Remote::start().await;
        holds(&remote, "1").await;
        let live = number(&remote).await;
        assert_eq!((now(&live).await, now(&live).await), (Ok(1), Ok(1)));
        a_minute_later(&live).await;
        holds(&remote, "1").await;
        assert_eq!(now(&live).await, Ok(1));
        a_minute_later(&live).await;
        holds(&remote, "2").await;
        assert_eq!((now(&live).await, now(&live).await), (Ok(2), Ok(2)));
    }

    #[tokio::test]
    async fn what_is_wrong_or_cannot_be_read_leaves_a_working_instance_as_it_is() {
        let remote = Remote::start().await;
        holds(&remote, "1").await;
        let live = number(&remote).await;
        for kind in ["ParameterNotFound", "AccessDeniedException"] {
            a_minute_later(&live).await;
            fails(&remote, kind).await;
            assert_eq!(now(&live).await, Ok(1));
        }
        a_minute_later(&live).await;
        holds(&remote, "many").await;
        assert_eq!(now(&live).await, Ok(1));
        a_minute_later(&live).await;
        holds(&remote, "3").await;
        assert_eq!(now(&live).await, Ok(3));
    }

    #[tokio::test]
    async fn an_instance_that_cannot_work_says_why_and_works_as_soon_as_that_is_mended() {
        let remote = Remote::start().await;
        fails(&remote, "ParameterNotFound").await;
        let live = number(&remote).await;
        fails(&remote, "AccessDeniedException").await;
        let error = now(&live).await.unwrap_err();
        assert!(error.contains("NUMBER_PARAMETER") && error.contains("ssm:GetParameter"), "{error}");
        assert!(!error.contains("NUMBER is not set"), "{error}");
        holds(&remote, "many").await;
        assert!(now(&live).await.unwrap_err().contains("NUMBER: "));
        holds(&remote, "4").await;
        assert_eq!(now(&live).await, Ok(4));
    }
}
