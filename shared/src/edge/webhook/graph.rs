//! Microsoft Graph as a sender: the handshake of a subscription, and a client state in each notification.
//!
//! Graph repeats every request that is not answered 2xx, for up to four hours.
//!
//! <https://learn.microsoft.com/graph/change-notifications-delivery-webhooks>

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::http::HeaderValue;
use jiff::Timestamp;

use super::{Sender, StatusAlone, Unverified};
use crate::edge::Method;
use crate::edge::http::reply;
use crate::error::{Code, Error};
use crate::http::RequestContext;
use crate::notification::{Admitted, ClientStateSecret, ClientStates, Doorkeeper};

/// The largest body that is read. Lambda's events have at most 6 MB, in which the quotes of the body are escaped.
const MAX_COLLECTION_BYTES: usize = 4 * 1024 * 1024;

/// The longest validation token that is sent back. Those of Graph have about 130 characters.
const MAX_TOKEN_BYTES: usize = 2048;

/// Microsoft Graph, known by the client state in each of its notifications.
#[derive(Debug)]
pub struct GraphSender<S = ClientStateSecret> {
    states: S,
}

impl<S> GraphSender<S> {
    /// A sender that is known by these client states.
    #[must_use]
    pub fn new(states: S) -> Self {
        Self { states }
    }
}

impl<S: ClientStates + Send + Sync> Sender for GraphSender<S> {
    type Verified = Admitted;

    type Answer = StatusAlone;

    const METHODS: &'static [Method] = &[Method::Post];

    const TAKEN: u16 = 202;

    /// The handshake is answered first: while a subscription is made, Graph waits for it.
    fn greet(request: &Unverified) -> Result<Option<ApiGatewayV2httpResponse>, Error> {
        Ok(handshake(request.query())?.map(handshaken))
    }

    async fn verify(&self, cx: &RequestContext, request: Unverified) -> Result<Admitted, Error> {
        let body = request.into_body(MAX_COLLECTION_BYTES)?;
        Doorkeeper { states: &self.states }.admit(cx, &body, Timestamp::now()).await
    }

    fn is_provoked(error: &Error) -> bool {
        error.code == Code::CLIENT_STATE_UNKNOWN
    }
}

/// The validation token of a handshake, decoded once, as a form is: `+` is a space. Other query parameters belong to
/// the subscriber.
///
/// # Errors
/// `invalidField`, when the token is longer than Graph's are.
fn handshake(query: &str) -> Result<Option<String>, Error> {
    // API Gateway also gives the parameters decoded; to decode those again would be once too often.
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    let token = parameters.find(|(name, _)| name == "validationToken").map(|(_, token)| token.into_owned());
    match token {
        Some(token) if token.len() > MAX_TOKEN_BYTES => {
            let message = format!("The `validationToken` is longer than {MAX_TOKEN_BYTES} bytes.");
            Err(Error::new(Code::INVALID_FIELD, message))
        }
        token => Ok(token.filter(|token| !token.is_empty())),
    }
}

/// The answer to a handshake: the token alone, of a type that no browser would run.
fn handshaken(token: String) -> ApiGatewayV2httpResponse {
    let mut response = reply(200, "text/plain; charset=utf-8", token);
    response.headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
