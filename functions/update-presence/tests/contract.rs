//! `infra/openapi.yaml` says what this function reads and answers with.

use bridge::presence::{PresenceFields, PresenceOrder, PresenceSettings};
use contract::{Held, envelope};
use serde_json::json;
use update_presence::ROUTE;

#[test]
fn the_contract_is_kept() {
    let held = Held {
        route: ROUTE,
        read: |fields, env| PresenceOrder::read(fields, &PresenceSettings::read(env)?).map(drop),
        complete: json!({"userId": "7a3b0c5e-1d2f-4e6a-8b9c-0a1b2c3d4e5f", "systemPresence": "Busy"}),
        otherwise: &["userId", "systemPresence"],
        answer: envelope(PresenceFields::default()),
    };
    held.check();
}
