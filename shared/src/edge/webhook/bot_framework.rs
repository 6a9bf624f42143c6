//! The Bot Framework as a sender: an activity of Teams for the bot, with a token that proves it.
//!
//! Teams waits some 15 seconds. It repeats an activity that is not answered 2xx, and awaits a body for an invoke.
//!
//! <https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication>

use jiff::Timestamp;

use super::{InlineAnswer, Sender, Unverified};
use crate::bot::activity::MAX_ACTIVITY_BYTES;
use crate::bot::{BearerToken, CheckError, TokenCheck, VerifiedActivity};
use crate::edge::Method;
use crate::error::Error;
use crate::http::RequestContext;
use crate::startup::Startup;

/// The Bot Framework, known by its token.
#[derive(Debug)]
pub struct BotFrameworkSender {
    check: TokenCheck,
}

impl BotFrameworkSender {
    /// A sender that is known by this check.
    #[must_use]
    pub(crate) fn new(check: TokenCheck) -> Self {
        Self { check }
    }

    /// The sender for the bot `BOT_APP_ID` in the tenant `BOT_TENANT_ID`, with the keys that `BOT_LOGIN_METADATA_URL`
    /// leads to; else those of the public cloud.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        TokenCheck::from_startup(startup).map(Self::new)
    }

    /// Fetches the keys before the first request.
    pub async fn warm_up(&self, cx: &RequestContext) {
        self.check.warm_up(cx).await;
    }
}

impl Sender for BotFrameworkSender {
    type Verified = VerifiedActivity;

    type Answer = InlineAnswer;

    const METHODS: &'static [Method] = &[Method::Post];

    const TAKEN: u16 = 200;

    const REFUSES_WITH_ENVELOPE: bool = false;

    async fn verify(&self, cx: &RequestContext, request: Unverified) -> Result<VerifiedActivity, Error> {
        let token = BearerToken::of(request.authorization()).map_err(|check| {
            cx.record.label("failedCheck", check.name());
            CheckError::from(check)
        })?;
        let body = request.into_body(MAX_ACTIVITY_BYTES)?;
        Ok(self.check.check(cx, &token, &body, Timestamp::now()).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::bot::tests::{Scene, claims, personal};
    use crate::edge::tests::{Log, event, lambda};
    use crate::edge::{HttpEvent, Webhook};

    type BotWebhook = Webhook<BotFrameworkSender, ()>;

    fn posted(token: Option<&str>, activity: &Value) -> HttpEvent {
        let mut event = event("POST", "", &activity.to_string());
        event.headers.authorization = token.map(|token| format!("Bearer {token}").into());
        event
    }

    /// Answers an invoke, as the bot does; of other activities it says nothing.
    async fn answer(webhook: &BotWebhook, event: HttpEvent) -> (i64, Value) {
        let handle = async |(): &(), _: &RequestContext, verified: VerifiedActivity| {
            let body = verified.activity().is_invoke().then(|| json!({"statusCode": 200}));
            Ok(((), InlineAnswer(body)))
        };
        let response = webhook.answer(event, lambda(), handle).await;
        let body = response.body.map(|body| serde_json::from_slice(&body).unwrap());
        (response.status_code, body.unwrap_or_default())
    }

    #[tokio::test]
    async fn a_message_is_answered_with_a_status_and_an_invoke_with_a_body() {
        let scene = Scene::start().await;
        let token = scene.framework.sign(&claims());
        let webhook = Webhook::of("test", Ok((BotFrameworkSender::new(scene.check), ())));
        assert_eq!(answer(&webhook, posted(Some(&token), &personal())).await, (200, Value::Null));
        let mut invoke = personal();
        invoke["type"] = "invoke".into();
        assert_eq!(answer(&webhook, posted(Some(&token), &invoke)).await, (200, json!({"statusCode": 200})));
    }

    #[tokio::test]
    async fn a_refusal_is_a_status_and_its_log_line_names_the_check_and_not_the_token() {
        let scene = Scene::start().await;
        let good = scene.framework.sign(&claims());
        let mut claims = claims();
        claims["iss"] = "https://login.microsoftonline.com/hunter2/v2.0".into();
        let foreign = scene.framework.sign(&claims);
        let mut stranger = personal();
        stranger["serviceUrl"] = "https://smba.evil.trafficmanager.net/".into();
        let mut large = personal();
        large["text"] = "x".repeat(MAX_ACTIVITY_BYTES).into();
        let webhook = Webhook::of("test", Ok((BotFrameworkSender::new(scene.check), ())));
        for (token, activity, status, code, check, issuer) in [
            (None, personal(), 401, "unauthorized", json!("bearer"), Value::Null),
            (Some("hunter2 token"), personal(), 401, "unauthorized", json!("bearer"), Value::Null),
            (Some("hunter2"), personal(), 401, "unauthorized", json!("header"), Value::Null),
            (Some(&*foreign), personal(), 401, "unauthorized", json!("issuer"), json!("login.microsoftonline.com")),
            (Some(&*good), stranger, 403, "senderRefused", json!("serviceUrl"), json!("api.botframework.com")),
            (Some(&*good), json!([]), 400, "malformedJson", Value::Null, Value::Null),
            (Some(&*good), large, 413, "bodyTooLarge", Value::Null, Value::Null),
        ] {
            let lines = Log::of(async || {
                assert_eq!(answer(&webhook, posted(token, &activity)).await, (status, Value::Null), "{code}");
            });
            let [line] = &lines.await[..] else { panic!("one line an invocation") };
            assert_eq!((&line["code"], &line["failedCheck"], &line["tokenIssuer"]), (&json!(code), &check, &issuer));
            let text = line.to_string();
            assert!(!text.contains("hunter2") && !text.contains(&good) && !text.contains(&foreign), "{text}");
            assert!(!text.contains("evil.trafficmanager") && !text.contains("notTaken"), "{text}");
        }
    }

    #[tokio::test]
    async fn an_outage_of_the_keys_is_a_503_that_teams_repeats_and_an_alarm() {
        let (scene, away) = (Scene::start().await, Scene::away().await);
        let token = scene.framework.sign(&claims());
        let webhook = Webhook::of("test", Ok((BotFrameworkSender::new(away.check), ())));
        scene.check.warm_up(&crate::remote::context(10)).await;
        let lines = Log::of(async || {
            assert_eq!(answer(&webhook, posted(Some(&token), &personal())).await, (503, Value::Null));
        });
        let [line] = &lines.await[..] else { panic!("one line an invocation") };
        assert_eq!((&line["code"], &line["notTaken"]), (&json!("botFrameworkUnavailable"), &json!(1)));
    }
}
