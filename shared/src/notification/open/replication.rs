//! Waits for Graph's replicas: Graph notifies of a change before all of its servers know it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use crate::graph::GraphError;
use crate::graph::resource::{MAIL_MESSAGE, ResourceName};
use crate::http::RequestContext;
use crate::notification::Change;
use crate::relay::LEAST_TIME_TO_SERVE;

/// Pauses before Graph is asked once more for a new resource that it does not find.
const REPLICATION_PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// For this long after the notification, a resource that Graph does not find counts as new; after that, it is gone.
const NEW_RESOURCE: SignedDuration = SignedDuration::from_mins(1);

/// How often Graph is asked again for a resource that not all of its servers know yet.
pub(crate) struct Replication {
    pauses: std::slice::Iter<'static, Duration>,
    is_too_young: bool,
}

impl Replication {
    /// The repetitions for this change's resource. There are none when it was deleted, or the notification is no longer
    /// new.
    pub(crate) fn of(change: &Change) -> Self {
        let is_told = !change.subscription_id.is_empty() && change.change_type != "deleted";
        let is_young = Timestamp::now().duration_since(change.received_at) < NEW_RESOURCE;
        let waits = is_told && is_young;
        Self {
            pauses: if waits { REPLICATION_PAUSES.iter() } else { [].iter() },
            is_too_young: waits && !is_mail(change),
        }
    }

    /// Whether a resource that Graph still does not find is too new to be called gone. Its message then returns to the
    /// queue, because a later listing may not find it. A mail message never is too new: a rule that moves it ends its
    /// id within a second.
    pub(crate) fn is_too_young(&self) -> bool {
        self.is_too_young
    }

    /// Whether to ask again after this answer. It waits for the pause before it returns.
    pub(crate) async fn again(&mut self, cx: &RequestContext, error: &GraphError) -> bool {
        if !error.is_not_found() {
            return false;
        }
        let pause = self.pauses.next().filter(|pause| cx.deadline.for_a_call() > **pause + LEAST_TIME_TO_SERVE);
        if let Some(pause) = pause {
            tracing::info!(
                "Microsoft Graph does not find the resource of a new notification yet; it is asked again in a moment"
            );
            sleep(*pause).await;
        }
        pause.is_some()
    }
}

fn is_mail(change: &Change) -> bool {
    ResourceName::read(&change.resource).is_ok_and(|resource| resource.kind() == Some(&MAIL_MESSAGE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::context;

    #[test]
    fn what_a_minute_has_not_passed_over_is_not_gone_unless_it_is_mail() {
        let now = Timestamp::now();
        let too_young = |resource: &str, change_type: &str, received_at| {
            let change = Change {
                subscription_id: "s".into(),
                resource: resource.into(),
                change_type: change_type.into(),
                received_at,
                ..Change::default()
            };
            Replication::of(&change).is_too_young()
        };
        let (message, mail) = ("chats('19:a@thread.v2')/messages('1')", "Users/u/Messages/AAMk");
        assert!(too_young(message, "created", now) && too_young(message, "updated", now));
        assert!(too_young("teams('t')/channels('c')/messages('1')", "created", now));
        assert!(!too_young(message, "deleted", now));
        assert!(!too_young(message, "created", now - SignedDuration::from_mins(2)));
        assert!(!too_young(mail, "created", now));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_young_is_asked_for_three_times_in_all_and_nothing_else_is() {
        let now = Timestamp::now();
        let change = |subscription: &str, change_type: &str, received_at| Change {
            subscription_id: subscription.into(),
            change_type: change_type.into(),
            received_at,
            ..Change::default()
        };
        let long_ago = now - SignedDuration::from_mins(2);
        let not_found = GraphError::NotFound { code: String::new() };
        let refused = GraphError::PermissionMissing { permission: "", status: 403, code: String::new() };
        for (change, error, seconds, times) in [
            (change("s", "created", now), &not_found, 60, 2),
            (change("s", "updated", now), &not_found, 60, 2),
            (change("s", "deleted", now), &not_found, 60, 0),
            (change("s", "created", long_ago), &not_found, 60, 0),
            // A resource that a listing has found did exist.
            (change("", "created", now), &not_found, 60, 0),
            (change("s", "created", now), &refused, 60, 0),
            (change("s", "created", now), &not_found, 3, 0),
        ] {
            let (mut replication, cx) = (Replication::of(&change), context(seconds));
            let mut again = 0;
            while replication.again(&cx, error).await {
                again += 1;
            }
            assert_eq!(again, times, "{change:?} {error}");
        }
    }
}
