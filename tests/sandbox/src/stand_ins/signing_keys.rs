//! The keys that Entra ID signs with: one that is in use, published under its id, and replaced without notice.
//!
//! The tokens of the API and those that come with Graph's notifications are signed with the same key.

use std::fmt;
use std::sync::Mutex;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::locked;
use crate::Trouble;

/// A private key with the public one that belongs to it.
#[derive(Clone)]
pub(super) struct SigningKey {
    private: EncodingKey,
    /// As a key set shows it.
    public: Jwk,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.public.common.key_id).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A new key under a new id.
    pub(super) fn generate() -> Result<Self, Trouble> {
        let failed = |error: &dyn fmt::Display| Trouble::from("The Entra stand-in has no signing key", error);
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).map_err(|error| failed(&error))?;
        let private = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).map_err(|error| failed(&error))?;
        let mut public = Jwk::from_encoding_key(&private, Algorithm::RS256).map_err(|error| failed(&error))?;
        public.common.key_id = Some(Uuid::new_v4().simple().to_string());
        Ok(Self { private, public })
    }

    /// This key under another key's id: what a forger has.
    pub(super) fn disguised_as(self, other: &Self) -> Self {
        let mut public = self.public;
        public.common.key_id.clone_from(&other.public.common.key_id);
        Self { public, ..self }
    }

    /// A token with these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: self.public.common.key_id.clone(), ..Header::new(Algorithm::RS256) };
        // Signing with a good key does not fail; an empty token would be refused by whoever gets it.
        jsonwebtoken::encode(&header, claims, &self.private).unwrap_or_default()
    }
}

/// The key in use.
#[derive(Debug)]
pub(super) struct SigningKeys(Mutex<SigningKey>);

impl SigningKeys {
    pub(super) fn new() -> Result<Self, Trouble> {
        Ok(Self(Mutex::new(SigningKey::generate()?)))
    }

    pub(super) fn current(&self) -> SigningKey {
        locked(&self.0).clone()
    }

    /// Replaces the key: what it signed is good no longer.
    pub(super) fn rotate(&self) -> Result<(), Trouble> {
        let key = SigningKey::generate()?;
        *locked(&self.0) = key;
        Ok(())
    }

    /// The key set: of the v2 endpoint with this issuer, or of the v1 endpoint, which names none.
    pub(super) fn published(&self, issuer: Option<&str>) -> Value {
        let public = self.current().public;
        let mut key = serde_json::to_value(&public).unwrap_or_default();
        key["use"] = "sig".into();
        key["x5t"] = public.common.key_id.into();
        if let Some(issuer) = issuer {
            key["issuer"] = issuer.into();
        }
        json!({"keys": [key]})
    }
}
