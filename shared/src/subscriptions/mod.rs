//! Keeping the subscriptions to Microsoft Graph's change notifications.
//!
//! What is wanted stands in `SUBSCRIPTIONS`, what there is only Graph knows. Every invocation compares the two
//! ([`plan`]), does what follows ([`Keeper`]) and lists what has changed where nobody was told ([`gap`]). It is invoked
//! by the clock, and when Graph says that a subscription needs something. What did not fit into an invocation is found
//! by the next.

mod certificates;
pub mod gap;
mod keep;
mod lifecycle;
mod plan;
mod settings;

pub use certificates::Certificates;
pub use keep::{Became, Credentials, Keeper, Run, Tally, Trouble};
pub use lifecycle::Batch;
pub use plan::{Current, Due, Events, Outdated, Plan, Step, plan};
pub use settings::{ChangeTypes, KeeperSettings, Wanted};

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
