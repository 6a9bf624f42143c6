//! `POST /sms`: a text message through Genesys Cloud, at most once.

use bridge::config::Environment;
use bridge::edge::{Answer, Method, Request, Route};
use bridge::error::Error;
use bridge::genesys::GenesysClient;
use bridge::sms::{LinkFrom, SmsFields, SmsOrder, SmsSender, SmsSettings};
use bridge::startup::{Startup, warm_up};
use bridge::store::{DynamoRecords, Records};

/// Where the function stands in the API.
pub const ROUTE: Route = Route { function: "send-sms", method: Method::Post, roles: &["Sms.Send"] };

/// What the function works with.
#[derive(Debug)]
pub struct App<R = DynamoRecords> {
    genesys: GenesysClient,
    records: R,
    settings: SmsSettings,
}

impl<R: Records> App<R> {
    /// An app of these parts.
    #[must_use]
    pub fn new(genesys: GenesysClient, records: R, settings: SmsSettings) -> Self {
        Self { genesys, records, settings }
    }
}

impl App {
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let (genesys, records) = (startup.genesys(), startup.records());
        let settings = SmsSettings::read(startup.env);
        let app = Self::new(genesys?, records?, settings?);
        warm_up(async |cx| {
            tokio::join!(app.genesys.warm_up(&cx), app.records.warm_up(&cx));
        })
        .await;
        Some(app)
    }
}

/// Answers one request.
///
/// # Errors
/// When a field is missing or wrong. Everything else is an answer with the message's status.
pub async fn handle<R: Records>(app: &App<R>, mut request: Request) -> Result<Answer<SmsFields>, Error> {
    let conversation = request.conversation_id();
    let Request { mut fields, context: cx } = request;
    let order = SmsOrder::read(&mut fields, &app.settings, LinkFrom::Request);
    let order = fields.finish(order)?;

    let message = match order.compose(&app.settings, conversation.as_ref(), None) {
        Ok(message) => message,
        Err(error) => return Ok(Answer::failed(error, SmsFields::default())),
    };
    let result = SmsSender { genesys: &app.genesys, records: &app.records }.send(&cx, &message).await;
    let fields = SmsFields::of(&result, &message.to);
    Ok(match result {
        Ok(sent) if sent.other_link => Answer::failed(Error::new(sent.code(), sent.message()), fields),
        Ok(sent) => Answer::ok(sent.code(), sent.message(), fields),
        Err(error) => Answer::failed(error, fields),
    })
}
