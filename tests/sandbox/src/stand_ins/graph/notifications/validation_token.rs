//! The validation tokens that come with resource data: proof that Microsoft Graph sent it, one for each app and tenant.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::super::entra::ISSUER_V1;
use super::super::super::signing_keys::SigningKey;
use super::super::super::{TENANT, World};
use super::settings::TokenVersion;

/// Microsoft Graph Change Tracking: the app that all validation tokens are issued to.
pub(super) const PUBLISHER: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";

/// The life of a token, in seconds.
const VALIDATION_TOKEN_LIFE_SECONDS: i64 = 8 * 60 * 60;

/// The claims of a token for an app.
pub(super) fn claims(world: &World, app: &str, version: TokenVersion) -> Value {
    let now = Timestamp::now().as_second();
    let publisher = Uuid::new_v5(&Uuid::NAMESPACE_OID, PUBLISHER.as_bytes());
    let common = json!({
        "aud": app, "iat": now, "nbf": now, "exp": now + VALIDATION_TOKEN_LIFE_SECONDS, "aio": "E2RgYDhtu", "oid": publisher, "sub": publisher,
        "rh": "0.ARoA", "tid": TENANT, "uti": Uuid::new_v4().simple().to_string(),
    });
    let own = match version {
        TokenVersion::V1 => {
            let issuer = ISSUER_V1.replace("{tenantid}", TENANT);
            json!({"iss": issuer, "idp": issuer, "appid": PUBLISHER, "appidacr": "2", "ver": "1.0"})
        }
        TokenVersion::V2 => json!({"iss": world.tokens.issuer(), "azp": PUBLISHER, "azpacr": "2", "ver": "2.0"}),
    };
    let both = [common, own].into_iter().filter_map(|part| part.as_object().cloned()).flatten();
    Value::Object(both.collect())
}

/// A token for an app.
pub(super) fn mint(world: &World, key: &SigningKey, app: &str, version: TokenVersion) -> String {
    key.sign(&claims(world, app, version))
}
