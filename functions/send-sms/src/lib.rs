//! `POST /sms`: a text message through Genesys Cloud, at most once.

use bridge::config::Environment;
use bridge::edge::{Answer, Method, Request, Route};
use bridge::error::Error;
use bridge::genesys::GenesysClient;
use bridge::sms::{LinkFrom, SmsFields, SmsOrder, SmsSender, SmsSettings};
use bridge::startup::{Startup, warm_up};
use bridge::store::{DynamoRecords, Records};

/// The route that the function serves, and the app roles that it asks for.
pub const ROUTE: Route = Route { function: "send-sms", method: Method::Post, roles: &["Sms.Send"] };

/// The clients, stores and settings that the function works with. Made once for each process.
#[derive(Debug)]
pub struct App<R = DynamoRecords> {
    genesys: GenesysClient,
    records: R,
    settings: SmsSettings,
}

impl<R: Records> App<R> {
    /// An app of these parts, which a test may replace.
    #[must_use]
    pub fn new(genesys: GenesysClient, records: R, settings: SmsSettings) -> Self {
        Self { genesys, records, settings }
    }
}

impl App {
    /// Builds the app from its settings and warms it up. `None` when a setting is missing or wrong, which is noted in
    /// `env`.
    pub async fn from_env(env: &mut Environment) -> Option<Self> {
        let mut startup = Startup::load(env).await?;
        let (genesys, records) = (GenesysClient::from_startup(&mut startup), DynamoRecords::from_startup(&mut startup));
        let settings = SmsSettings::read(startup.env);
        let app = Self::new(genesys?, records?, settings?);
        warm_up(async |cx| {
            tokio::join!(app.genesys.warm_up(&cx), app.records.warm_up(&cx));
        })
        .await;
        Some(app)
    }
}

/// Answers `POST /sms`: sends the text message unless an equal request has sent it.
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
