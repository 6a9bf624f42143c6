//! The client state: a secret of ours that Graph repeats in every notification of a subscription, and the only proof
//! that a basic notification comes from Graph.

use std::future::Future;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::{Choice, ConstantTimeEq};

use super::collection::ClientStateShown;
use crate::error::Error;
use crate::http::RequestContext;
use crate::secrets::{Credential, Secret, ShownSecret};
use crate::startup::Startup;
use crate::store::hash;

/// The most characters that Graph takes for a client state.
const MAX_CLIENT_STATE_CHARACTERS: usize = 128;

/// The client state that a notification must carry. During a rotation, the subscriptions made before it still carry the
/// previous one.
#[derive(Debug)]
pub struct ClientState {
    current: SecretString,
    previous: Option<SecretString>,
}

impl ClientState {
    /// The secret in `WEBHOOK_SECRET_ID`.
    pub fn secret_from_startup(startup: &mut Startup<'_>) -> Option<Secret<Self>> {
        Secret::from_startup(startup, &["WEBHOOK_SECRET_ID"])
    }

    /// The client state for new subscriptions.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.current
    }

    /// A fingerprint that tells this client state from another, without being the secret itself.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hash(&["client state", self.current.expose_secret()])
    }

    /// Whether this is the client state, or the previous one. The comparison takes the same time however much of it is
    /// right.
    #[must_use]
    pub(crate) fn admits(&self, shown: &ClientStateShown) -> bool {
        let equal = |expected: &SecretString| expected.expose_secret().as_bytes().ct_eq(shown.as_bytes());
        let previous = self.previous.as_ref().map_or(Choice::from(0), equal);
        (equal(&self.current) | previous).into()
    }
}

impl Credential for ClientState {
    const EXPECTED: &'static str = "{\"client_state\"} with a long random text of at most 128 characters; during a rotation also the \
         \"previous_client_state\"";

    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Wire {
            client_state: SecretString,
            previous_client_state: Option<SecretString>,
        }

        // A pasted value may end in a line break. serde's own message may quote the text.
        let trimmed = |state: &SecretString| SecretString::from(state.expose_secret().trim());
        let wire: Wire =
            serde_json::from_str(text).map_err(|_| "it is no JSON object with a client_state".to_owned())?;
        let current = trimmed(&wire.client_state);
        match current.expose_secret().chars().count() {
            0 => Err("client_state is empty".into()),
            1..=MAX_CLIENT_STATE_CHARACTERS => {
                let previous = wire.previous_client_state.as_ref().map(trimmed);
                Ok(Self { current, previous: previous.filter(|state| !state.expose_secret().is_empty()) })
            }
            _ => Err(format!("client_state has more than {MAX_CLIENT_STATE_CHARACTERS} characters")),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let previous = |state: &Self| state.previous.as_ref().map(|previous| previous.expose_secret().to_owned());
        self.current.expose_secret() == other.current.expose_secret() && previous(self) == previous(other)
    }
}

/// A source of the client state.
pub trait ClientStates {
    /// The client state as it is known now.
    ///
    /// # Errors
    /// When it cannot be read; then no notification can be taken.
    fn current(&self, cx: &RequestContext) -> impl Future<Output = Result<Arc<ClientState>, Error>> + Send;

    /// The client state, read again after a notification showed one that does not match. `None` when it could not be
    /// read again now, because that was done a moment ago or Secrets Manager cannot be reached: then it cannot be told
    /// whether the one shown is right.
    ///
    /// # Errors
    /// As for [`Self::current`].
    fn renewed(
        &self,
        cx: &RequestContext,
        held: &Arc<ClientState>,
    ) -> impl Future<Output = Result<Option<Arc<ClientState>>, Error>> + Send;
}

/// The client state in Secrets Manager.
#[derive(Debug)]
pub struct ClientStateSecret(ShownSecret<ClientState>);

impl ClientStateSecret {
    /// The client state in this secret.
    #[must_use]
    pub fn new(secret: Secret<ClientState>) -> Self {
        Self(ShownSecret::new(secret))
    }

    /// The client state in `WEBHOOK_SECRET_ID`.
    pub fn from_startup(startup: &mut Startup<'_>) -> Option<Self> {
        ClientState::secret_from_startup(startup).map(Self::new)
    }

    /// Reads the secret before the first request. After a failure, the request reads it again.
    pub async fn warm_up(&self, cx: &RequestContext) {
        self.0.warm_up(cx).await;
    }
}

impl ClientStates for ClientStateSecret {
    async fn current(&self, cx: &RequestContext) -> Result<Arc<ClientState>, Error> {
        Ok(self.0.current(cx).await?)
    }

    async fn renewed(&self, cx: &RequestContext, held: &Arc<ClientState>) -> Result<Option<Arc<ClientState>>, Error> {
        Ok(self.0.renewed(cx, held).await?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Code;
    use crate::remote::{Remote, context};

    fn shown(text: &str) -> ClientStateShown {
        serde_json::from_value(json!(text)).unwrap()
    }

    fn states(remote: &Remote) -> ClientStateSecret {
        ClientStateSecret::new(Secret::new(remote.secrets_manager(), "bridge/webhook".into()))
    }

    #[test]
    fn the_current_and_the_previous_client_state_are_admitted_and_nothing_else() {
        let parse = |secret: serde_json::Value| ClientState::parse(&secret.to_string());
        let alone = parse(json!({"client_state": "new\n", "certificates": []})).unwrap();
        let rotating = parse(json!({"client_state": "new", "previous_client_state": "old"})).unwrap();
        for (text, by_alone, by_rotating) in [
            ("new", true, true),
            ("old", false, true),
            ("", false, false),
            ("ne", false, false),
            ("news", false, false),
        ] {
            assert_eq!(alone.admits(&shown(text)), by_alone, "{text}");
            assert_eq!(rotating.admits(&shown(text)), by_rotating, "{text}");
        }
        let emptied = parse(json!({"client_state": "new", "previous_client_state": ""})).unwrap();
        assert!(!emptied.admits(&shown("")) && emptied.is_same(&alone) && !emptied.is_same(&rotating));
        for bad in [json!({}), json!({"client_state": " "}), json!({"client_state": "x".repeat(129)}), json!("hunter2")]
        {
            let problem = parse(bad).unwrap_err();
            assert!(!problem.contains("hunter2") && !problem.is_empty(), "{problem}");
        }
        assert!(!format!("{rotating:?} {:?}", shown("old")).contains("old"));
    }

    #[tokio::test]
    async fn a_rotated_secret_is_read_again_and_strangers_cannot_make_that_happen_often() {
        let remote = Remote::start().await;
        remote.secret(r#"{"client_state": "old"}"#, 1).await;
        remote.secret(r#"{"client_state": "new"}"#, 1).await;
        let (states, cx) = (states(&remote), context(10));
        let held = states.current(&cx).await.unwrap();
        assert!(held.admits(&shown("old")));
        let renewed = states.renewed(&cx, &held).await.unwrap().unwrap();
        assert!(renewed.admits(&shown("new")));
        for _ in 0..100 {
            assert!(states.renewed(&cx, &renewed).await.unwrap().is_none());
        }
        // A request that still has the old one gets what another request has read.
        assert!(states.renewed(&cx, &held).await.unwrap().unwrap().admits(&shown("new")));
    }

    #[tokio::test]
    async fn an_outage_of_secrets_manager_leaves_what_is_known_and_without_it_nothing_is_taken() {
        let remote = Remote::start().await;
        remote.secret(r#"{"client_state": "old"}"#, 1).await;
        let (states, cx) = (states(&remote), context(10));
        let held = states.current(&cx).await.unwrap();
        drop(remote);
        assert!(states.renewed(&cx, &held).await.unwrap().is_none());
        assert!(states.current(&cx).await.unwrap().admits(&shown("old")));

        let nowhere = Remote::start().await;
        let unreachable = self::states(&nowhere);
        drop(nowhere);
        assert_eq!(unreachable.current(&cx).await.unwrap_err().code, Code::SECRETS_UNAVAILABLE);
    }

    #[test]
    fn a_client_state_is_told_from_another_by_its_fingerprint_which_does_not_show_it() {
        let parse = |text: &str| ClientState::parse(text).unwrap().fingerprint();
        let one = parse(r#"{"client_state": "s3cret"}"#);
        assert_ne!(one, parse(r#"{"client_state": "s3cret2"}"#));
        assert_eq!(one, parse(r#"{"client_state": "s3cret", "previous_client_state": "before"}"#));
        assert!(!one.contains("s3cret"));
    }
}
