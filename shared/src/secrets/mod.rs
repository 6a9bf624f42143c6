//! Credentials from AWS Secrets Manager.
//!
//! A secret is read once per process and kept for some minutes. When the remote that it is for refuses it, it is read
//! again at once, so that a rotation needs no redeployment.

mod shown;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::aws;
use crate::cache::{Cached, Fresh};
use crate::config::Setting;
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::startup::Startup;
use crate::telemetry::{CallRecord, Upstream};

pub(crate) use self::shown::ShownSecret;

/// After this time, a changed secret is noticed even when no remote has refused the old one.
const SECRET_REFRESH_AFTER: Duration = Duration::from_secs(5 * 60);

/// How long the old value is used while Secrets Manager cannot be reached.
const SECRET_EXPIRES_AFTER: Duration = Duration::from_secs(60 * 60);

/// Why a secret could not be read. Every text names the secret and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The secret does not exist, or has no value yet.
    #[error("the secret `{id}` does not exist or holds no value yet; put {expected} into it")]
    Missing {
        /// The secret's name or ARN.
        id: String,
        /// The JSON that it must hold.
        expected: &'static str,
    },
    /// The function's role may not read it.
    #[error(
        "the function may not read the secret `{id}`; allow secretsmanager:GetSecretValue on it in the function's policy, \
         and kms:Decrypt if it is encrypted with a key of your own"
    )]
    Denied {
        /// The secret's name or ARN.
        id: String,
    },
    /// The secret's value does not have the expected form.
    #[error("the secret `{id}` does not hold what it should ({problem}); put {expected} into it")]
    Malformed {
        /// The secret's name or ARN.
        id: String,
        /// The problem with the value; never a part of it.
        problem: String,
        /// The JSON that it must hold.
        expected: &'static str,
    },
    /// Secrets Manager did not answer in time, or with an error of its own.
    #[error("AWS Secrets Manager could not be asked for the secret `{id}`")]
    Unavailable {
        /// The secret's name or ARN.
        id: String,
        /// The SDK's description of the error.
        cause: String,
    },
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        let message = format!("The bridge cannot read its credential: {error}.");
        match &error {
            SecretError::Unavailable { cause, .. } => Self::new(Code::SECRETS_UNAVAILABLE, message).because(cause),
            _ => Self::new(Code::SECRET_UNREADABLE, message),
        }
    }
}

/// A credential that the text of a secret is parsed into.
pub trait Credential: Sized + Send + Sync {
    /// The JSON that the secret must hold, as the error message shows it.
    const EXPECTED: &'static str;

    /// Reads the credential from the secret's text.
    ///
    /// # Errors
    /// The problem with the text, without any part of it.
    fn parse(text: &str) -> Result<Self, String>;

    /// Whether this is the same credential, so that a retry with it would be in vain.
    fn is_same(&self, other: &Self) -> bool;
}

/// One secret of Secrets Manager, and the credential in it.
pub struct Secret<C> {
    client: aws_sdk_secretsmanager::Client,
    id: String,
    cached: Cached<Arc<C>, SecretError>,
}

impl<C> fmt::Debug for Secret<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<C: Credential> Secret<C> {
    /// A secret by its name or ARN.
    #[must_use]
    pub fn new(client: aws_sdk_secretsmanager::Client, id: String) -> Self {
        Self { client, id, cached: Cached::default() }
    }

    /// The secret that the first of these variables names that is set; the last of them has to be.
    pub(crate) fn from_startup(startup: &mut Startup<'_>, variables: &[&str]) -> Option<Self> {
        let (last, others) = variables.split_last()?;
        let named = others.iter().map(|name| startup.env.optional::<String>(name)).find(|id| *id != Setting::Unset);
        let id = named.unwrap_or(Setting::Unset).or_else(|| startup.env.required(last))?;
        Some(Self::new(aws_sdk_secretsmanager::Client::new(startup.aws()), id))
    }

    /// The credential. It is read from Secrets Manager when it is not cached.
    ///
    /// # Errors
    /// [`SecretError`]
    pub async fn get(&self, cx: &RequestContext) -> Result<Arc<C>, SecretError> {
        self.cached
            .get(|| async {
                let text = self.read(cx).await?;
                let credential = C::parse(text.expose_secret()).map_err(|problem| SecretError::Malformed {
                    id: self.id.clone(),
                    problem,
                    expected: C::EXPECTED,
                })?;
                Ok(Fresh {
                    value: Arc::new(credential),
                    refresh_after: SECRET_REFRESH_AFTER,
                    expires_after: SECRET_EXPIRES_AFTER,
                })
            })
            .await
    }

    /// The credential that replaces a refused one: the secret is read again, once. `None` when it still holds the same.
    ///
    /// # Errors
    /// [`SecretError`]
    pub(crate) async fn replacement(
        &self,
        cx: &RequestContext,
        refused: &Arc<C>,
    ) -> Result<Option<Arc<C>>, SecretError> {
        self.cached.drop_if(|held| Arc::ptr_eq(held, refused)).await;
        let credential = self.get(cx).await?;
        Ok((!credential.is_same(refused)).then_some(credential))
    }

    /// The credential, read again unless another request has done so since `held` was returned. If that fails, the old
    /// one is kept. For a credential that others show to the bridge, which may be right all the same.
    ///
    /// # Errors
    /// [`SecretError`]
    pub(crate) async fn reread(&self, cx: &RequestContext, held: &Arc<C>) -> Result<Arc<C>, SecretError> {
        self.cached.renew_if(|cached| Arc::ptr_eq(cached, held)).await;
        self.get(cx).await
    }

    async fn read(&self, cx: &RequestContext) -> Result<SecretString, SecretError> {
        let started = Instant::now();
        // Boxed, as every call of the SDK: its future is some kilobytes large and a hundred types deep.
        // The stage is always named, because the IAM condition on it matches only then.
        let request = self.client.get_secret_value().secret_id(&self.id).version_stage("AWSCURRENT");
        let result = match tokio::time::timeout(cx.deadline.for_a_call(), Box::pin(request.send())).await {
            Ok(result) => result,
            Err(_) => {
                return Err(SecretError::Unavailable { id: self.id.clone(), cause: "no answer in time".into() });
            }
        };
        let status = match &result {
            Ok(_) => 200,
            Err(error) => error.raw_response().map_or(0, |raw| raw.status().as_u16()),
        };
        cx.record.call(CallRecord {
            upstream: Upstream::Secrets,
            operation: "get secret value",
            status,
            took: started.elapsed(),
            remote_id: String::new(),
        });
        let missing = || SecretError::Missing { id: self.id.clone(), expected: C::EXPECTED };
        match result {
            Ok(output) => output.secret_string.map(SecretString::from).ok_or_else(missing),
            Err(error) => Err(match error.as_service_error() {
                Some(GetSecretValueError::ResourceNotFoundException(_)) => missing(),
                // A refusal by KMS comes as DecryptionFailure, or as AccessDenied with KMS in the text.
                Some(other) if matches!(other.code(), Some("AccessDeniedException" | "DecryptionFailure")) => {
                    SecretError::Denied { id: self.id.clone() }
                }
                _ => SecretError::Unavailable { id: self.id.clone(), cause: aws::describe(&error) },
            }),
        }
    }
}
