//! The proof that the Bot Framework posted an activity for this bot: its token, compared with the activity.
//!
//! Microsoft's own SDKs leave some of these checks out; a bot without an SDK must make all of them. The token proves
//! that the connector posted the activity. There is no signature of the activity itself, so the token can be used again
//! as long as it is valid, and is never logged.
//!
//! <https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication>

use std::fmt;

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Activity, SignedServiceUrl};
use crate::auth::signing_keys::{BotFrameworkKeys, NoKeys};
use crate::config::BaseUrl;
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::startup::Startup;
use crate::telemetry::mask;

/// The channel of Teams in activities and endorsements.
const TEAMS: &str = "msteams";

/// The difference between clocks that is accepted, in seconds.
const LEEWAY_SECONDS: i64 = 300;

/// The public cloud's metadata, which leads to its keys. Sovereign clouds have others.
const PUBLIC_METADATA: &str = "https://login.botframework.com/v1/.well-known/openidconfiguration";

/// A check that a request has not passed, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FailedCheck {
    #[error("the header `Authorization` is not `Bearer` and one token")]
    Bearer,
    #[error("the token is no JWT, or its algorithm is not known")]
    Header,
    #[error("the token is not signed with RS256")]
    Algorithm,
    #[error("the token names no signing key, or none of the Bot Framework's")]
    Key,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("a claim of the token is missing or not what it must be")]
    Claims,
    #[error("the token's issuer is not the Bot Framework of this cloud")]
    Issuer,
    #[error("the token is for another bot")]
    Audience,
    #[error("the token has expired, or is not valid yet; if it is so for all, compare the clocks")]
    Expiry,
    #[error("the token's signing key is not endorsed for the activity's channel")]
    Endorsement,
    #[error("the activity's `serviceUrl` is not the one that was signed")]
    ServiceUrl,
    #[error("the activity is of another channel than Teams")]
    Channel,
    #[error("the activity is for another bot")]
    Recipient,
    #[error("the activity is of another tenant than BOT_TENANT_ID, or of none")]
    Tenant,
}

impl FailedCheck {
    /// The check's name in the log.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Header => "header",
            Self::Algorithm => "algorithm",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expiry => "expiry",
            Self::Endorsement => "endorsement",
            Self::ServiceUrl => "serviceUrl",
            Self::Channel => "channel",
            Self::Recipient => "recipient",
            Self::Tenant => "tenant",
        }
    }

    /// Whether the token itself is good, and the activity is not what it was issued for.
    const fn is_of_the_activity(self) -> bool {
        matches!(self, Self::Endorsement | Self::ServiceUrl | Self::Channel | Self::Recipient | Self::Tenant)
    }
}

/// Why an activity was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckError {
    /// The request has not passed this check.
    #[error(transparent)]
    Refused(#[from] FailedCheck),
    /// The token cannot be checked now. The same request may pass later.
    #[error(transparent)]
    NoKeys(#[from] NoKeys),
    /// The token is good, and the body is no activity.
    #[error("the body is no JSON object")]
    NoActivity,
}

impl From<CheckError> for Error {
    fn from(error: CheckError) -> Self {
        let (code, message) = match &error {
            CheckError::Refused(check) if check.is_of_the_activity() => {
                (Code::SENDER_REFUSED, "The Bot Framework's token is not for this activity.")
            }
            CheckError::Refused(_) => (Code::UNAUTHORIZED, "The request has no valid token of the Bot Framework."),
            CheckError::NoKeys(_) => (
                Code::BOT_FRAMEWORK_UNAVAILABLE,
                "The signing keys of the Bot Framework could not be fetched. Teams sends the activity again.",
            ),
            CheckError::NoActivity => (Code::MALFORMED_JSON, "The request's body is no activity."),
        };
        Self::new(code, message).because(error)
    }
}

/// The token that a request shows.
#[derive(Debug)]
pub(crate) struct BearerToken(SecretString);

impl BearerToken {
    /// The token in the header `Authorization`.
    ///
    /// # Errors
    /// [`FailedCheck::Bearer`], when it is anything but the scheme and one token.
    pub(crate) fn of(authorization: Option<&SecretString>) -> Result<Self, FailedCheck> {
        let header = authorization.ok_or(FailedCheck::Bearer)?.expose_secret();
        match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && is_one_word(token) => {
                Ok(Self(token.into()))
            }
            _ => Err(FailedCheck::Bearer),
        }
    }
}

fn is_one_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// An activity that the Bot Framework posted for this bot and tenant. Only the check of its token makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedActivity {
    activity: Activity,
    service_url: SignedServiceUrl,
}

impl VerifiedActivity {
    /// The activity.
    #[must_use]
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// The signed address that answers go to.
    #[must_use]
    pub fn service_url(&self) -> &SignedServiceUrl {
        &self.service_url
    }

    /// The activity and the signed address.
    #[must_use]
    pub fn into_parts(self) -> (Activity, SignedServiceUrl) {
        (self.activity, self.service_url)
    }
}

/// Checks that activities come from the Bot Framework, for this bot and its tenant.
pub(crate) struct TokenCheck {
    keys: BotFrameworkKeys,
    app_id: Uuid,
    tenant_id: Uuid,
}

impl fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCheck").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

/// The claims that are checked. A token of Teams has these and no others.
#[derive(Deserialize)]
struct ConnectorClaims {
    iss: String,
    aud: String,
    exp: i64,
    nbf: Option<i64>,
    serviceurl: Option<String>,
}

impl TokenCheck {
    /// A check for the bot with this app id, which is for this tenant alone.
    #[must_use]
    pub(crate) fn new(keys: BotFrameworkKeys, app_id: Uuid, tenant_id: Uuid) -> Self {
        Self { keys, app_id, tenant_id }
    }

    /// The check for the bot `BOT_APP_ID` in the tenant `BOT_TENANT_ID`, with the keys that `BOT_LOGIN_METADATA_URL`
    /// leads to; else those of the public cloud.
    pub(crate) fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        let (app_id, tenant_id) = (startup.env.required("BOT_APP_ID"), startup.env.required("BOT_TENANT_ID"));
        let metadata = startup.env.or("BOT_LOGIN_METADATA_URL", PUBLIC_METADATA.parse::<BaseUrl>().ok()?);
        let (app_id, tenant_id, metadata) = (app_id?, tenant_id?, metadata?);
        Some(Self::new(BotFrameworkKeys::new(startup.http().clone(), metadata), app_id, tenant_id))
    }

    /// Fetches the keys before the first request. After a failure, the request fetches them.
    pub(crate) async fn warm_up(&self, cx: &RequestContext) {
        self.keys.warm_up(cx).await;
    }

    /// Accepts the activity in this body if the token proves that the Bot Framework has posted it at this time, for
    /// this bot and tenant. The log line says which check has failed (`failedCheck`).
    ///
    /// # Errors
    /// [`CheckError`]
    pub(crate) async fn check(
        &self,
        cx: &RequestContext,
        token: &BearerToken,
        body: &[u8],
        now: Timestamp,
    ) -> Result<VerifiedActivity, CheckError> {
        let token = token.0.expose_secret();
        let checked = self.run_checks(cx, token, body, now.as_second()).await;
        if let Err(CheckError::Refused(check)) = &checked {
            cx.record.label("failedCheck", check.name());
            // Tells a wrong setting or a change at Microsoft from a forgery. Nothing depends on it.
            if let Some(host) = issuer_host(token) {
                cx.record.label("tokenIssuer", mask(&host));
            }
        }
        checked
    }

    /// The order is the one that Microsoft documents. Nothing of the body is read before the token is good.
    async fn run_checks(
        &self,
        cx: &RequestContext,
        token: &str,
        body: &[u8],
        now: i64,
    ) -> Result<VerifiedActivity, CheckError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| FailedCheck::Header)?;
        // The bridge chooses the algorithm, never the token.
        holds(header.alg == Algorithm::RS256, FailedCheck::Algorithm)?;
        let id = header.kid.ok_or(FailedCheck::Key)?;
        let key = self.keys.find(cx, &id).await?.ok_or(FailedCheck::Key)?;
        let claims = jsonwebtoken::decode::<ConnectorClaims>(token, &key.key, &validation())
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => FailedCheck::Signature,
                _ => FailedCheck::Claims,
            })?
            .claims;
        holds(claims.iss == *key.issuer, FailedCheck::Issuer)?;
        holds(is_guid(&claims.aud, self.app_id), FailedCheck::Audience)?;
        let has_begun = claims.nbf.is_none_or(|from| now >= from.saturating_sub(LEEWAY_SECONDS));
        holds(has_begun && now < claims.exp.saturating_add(LEEWAY_SECONDS), FailedCheck::Expiry)?;

        let activity = Activity::read(body).ok_or(CheckError::NoActivity)?;
        holds(key.endorses(activity.channel_id()), FailedCheck::Endorsement)?;
        let signed = claims.serviceurl.as_deref().unwrap_or_default();
        let service_url = SignedServiceUrl::of(signed, activity.service_url()).ok_or(FailedCheck::ServiceUrl)?;
        holds(activity.channel_id() == TEAMS, FailedCheck::Channel)?;
        let recipient = activity.recipient_id().strip_prefix("28:");
        holds(recipient.is_some_and(|id| is_guid(id, self.app_id)), FailedCheck::Recipient)?;
        holds(self.is_of_our_tenant(&activity), FailedCheck::Tenant)?;
        Ok(VerifiedActivity { activity, service_url })
    }

    /// Whether the activity names our tenant, and no other beside it.
    fn is_of_our_tenant(&self, activity: &Activity) -> bool {
        let is_ours = |tenant: &Value| tenant.as_str().is_some_and(|id| is_guid(id, self.tenant_id));
        activity.tenant_ids().next().is_some() && activity.tenant_ids().all(is_ours)
    }
}

fn holds(it_does: bool, check: FailedCheck) -> Result<(), FailedCheck> {
    if it_does { Ok(()) } else { Err(check) }
}

/// Whether the text is this GUID as Microsoft writes it, in either case.
fn is_guid(text: &str, guid: Uuid) -> bool {
    text.eq_ignore_ascii_case(guid.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
}

/// The signature and the form of the claims; their contents are compared by the check itself.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_aud = false;
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    validation
}

/// The host that a token names as its issuer. Nobody has checked the token.
fn issuer_host(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issued {
        iss: String,
    }

    let issued = jsonwebtoken::dangerous::insecure_decode::<Issued>(token).ok()?;
    let url = Url::parse(&issued.claims.iss).ok()?;
    url.host_str().filter(|host| host.len() <= 100).map(str::to_owned)
}
