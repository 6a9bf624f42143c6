//! Keeps the subscriptions to Microsoft Graph's change notifications.
//!
//! `SUBSCRIPTIONS` names the wanted subscriptions; only Graph knows the existing ones. Every invocation compares the
//! two ([`plan`]), takes the steps that follow ([`Keeper`]) and lists changes that were not notified of ([`gap`]). It
//! runs on a schedule, and when a lifecycle notification says that a subscription needs something. Work that did not
//! fit into an invocation is done by the next.

mod certificates;
pub mod gap;
mod keep;
mod lifecycle;
mod plan;
mod settings;

pub use certificates::Certificates;
pub use keep::{Became, Credentials, Keeper, KeeperRun, KeeperTally, StepTrouble};
pub use lifecycle::LifecycleBatch;
pub use plan::{Current, Due, Events, Outdated, Plan, Step, plan};
pub use settings::{ChangeTypes, KeeperSettings, WantedSubscription};

use crate::error::{Code, Error};
use crate::store::StoreError;

fn not_noted(error: StoreError) -> Error {
    Error::new(
        Code::STATE_UNAVAILABLE,
        "The bridge's state table did not answer. What was done stands, and the rest is tried again; if it lasts, \
         check STATE_TABLE and the function's policy.",
    )
    .because(error)
}

#[cfg(test)]
mod tests;
