//! The deployment's settings for subscriptions: which resources to watch, and how.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use crate::config::{BaseUrl, Environment};
use crate::graph::resource::WatchedResource;

/// The default silence of a subscription after which an alarm rings: longer than a weekend.
const SILENCE_MINUTES: u32 = 3 * 24 * 60;

/// The default interval at which changes are listed.
const RECONCILE_MINUTES: u32 = 15;

/// The default of how far back a gap is closed.
const RESYNC_HOURS: u32 = 24;

/// The kinds of changes of a resource that are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeTypes {
    /// A resource was created.
    pub created: bool,
    /// A resource was changed.
    pub updated: bool,
    /// A resource was deleted.
    pub deleted: bool,
}

impl FromStr for ChangeTypes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut types = Self::default();
        for name in text.split(',') {
            match name.trim() {
                "created" => types.created = true,
                "updated" => types.updated = true,
                "deleted" => types.deleted = true,
                _ => return Err("expected `created`, `updated` and `deleted`, or some of them, separated by commas"),
            }
        }
        Ok(types)
    }
}

impl fmt::Display for ChangeTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [(self.created, "created"), (self.updated, "updated"), (self.deleted, "deleted")];
        f.write_str(&all.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect::<Vec<_>>().join(","))
    }
}

/// An entry of `SUBSCRIPTIONS`: a subscription that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSubscription {
    /// Its place in `SUBSCRIPTIONS`, counted from 1. The log names it by this, because a resource may name a user.
    pub place: usize,
    /// The resource to watch.
    pub resource: WatchedResource,
    /// The kinds of changes to be notified of.
    pub changes: ChangeTypes,
    /// Whether notifications carry the resource, encrypted.
    pub rich: bool,
    /// The life that is asked for.
    pub life: Duration,
    /// The application permission that it needs.
    pub permission: &'static str,
}

/// The deployment's settings for subscriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperSettings {
    /// The subscriptions that are wanted; no two for one resource.
    pub wanted: Vec<WantedSubscription>,
    /// The URL for notifications. A subscription that sends them there is ours, and no other is.
    pub notification_url: String,
    /// The URL for lifecycle notifications.
    pub lifecycle_url: String,
    /// The silence of a subscription after which an alarm rings; `None` for never.
    pub silence: Option<Duration>,
    /// The interval at which changes are listed. `None`: only after a subscription was made, or reports a loss.
    pub reconcile: Option<Duration>,
    /// How far back a gap is closed.
    pub resync: Duration,
}

impl KeeperSettings {
    /// Reads `SUBSCRIPTIONS`, `WEBHOOK_URL`, `SUBSCRIPTION_SILENCE_MINUTES`, `SUBSCRIPTION_RECONCILE_MINUTES` and
    /// `SUBSCRIPTION_RESYNC_HOURS`.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let wanted = env.required::<String>("SUBSCRIPTIONS").and_then(|text| wanted(env, &text));
        let url = env.required::<BaseUrl>("WEBHOOK_URL");
        let silence = env.or("SUBSCRIPTION_SILENCE_MINUTES", SILENCE_MINUTES);
        let reconcile = env.or("SUBSCRIPTION_RECONCILE_MINUTES", RECONCILE_MINUTES);
        let resync = env.or("SUBSCRIPTION_RESYNC_HOURS", RESYNC_HOURS);
        let (wanted, url, silence, reconcile, resync) = (wanted?, url?, silence?, reconcile?, resync?);
        let unless_zero = |minutes: u32| (minutes > 0).then(|| Duration::from_secs(60 * u64::from(minutes)));
        Some(Self {
            wanted,
            notification_url: url.join(["graph", "notifications"]).into(),
            lifecycle_url: url.join(["graph", "lifecycle"]).into(),
            silence: unless_zero(silence),
            reconcile: unless_zero(reconcile),
            resync: Duration::from_secs(60 * 60 * u64::from(resync)),
        })
    }
}

/// Reads `SUBSCRIPTIONS`, and notes every problem in it.
fn wanted(env: &mut Environment, text: &str) -> Option<Vec<WantedSubscription>> {
    const EXPECTED: &str = "SUBSCRIPTIONS: expected a JSON array such as [{\"resource\": \
        \"/users/OBJECT-ID/chats/getAllMessages\", \"changeTypes\": \"created,updated,deleted\", \"rich\": true}]";
    let Ok(Value::Array(entries)) = serde_json::from_str(text) else {
        env.problem(EXPECTED);
        return None;
    };
    let mut wanted: Vec<WantedSubscription> = Vec::new();
    let mut all_good = true;
    for (place, entry) in (1..).zip(&entries) {
        match read(place, entry) {
            Ok(this) => match wanted.iter().find(|other| other.resource.is(this.resource.path())) {
                None => wanted.push(this),
                Some(other) => {
                    let first = other.place;
                    env.problem(format!(
                        "SUBSCRIPTIONS, entry {place}: the resource is that of entry {first}; name it once, with all \
                         its change types"
                    ));
                    all_good = false;
                }
            },
            Err(problems) => {
                for problem in problems {
                    env.problem(format!("SUBSCRIPTIONS, entry {place}: {problem}"));
                }
                all_good = false;
            }
        }
    }
    all_good.then_some(wanted)
}

fn read(place: usize, entry: &Value) -> Result<WantedSubscription, Vec<String>> {
    const FIELDS: [&str; 4] = ["resource", "changeTypes", "rich", "lifetimeMinutes"];
    let Some(fields) = entry.as_object() else { return Err(vec!["expected an object".into()]) };
    let mut problems = Vec::new();
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        problems.push(format!("`{name}` is no field; expected {}", FIELDS.join(", ")));
    }
    let resource = fields.get("resource").and_then(Value::as_str).map(WatchedResource::new);
    let resource = resource.filter(|resource| resource.path().len() > 1 && !resource.path().contains("://"));
    if resource.is_none() {
        problems.push("`resource` is missing, or not a path such as /users/OBJECT-ID/chats/getAllMessages".into());
    }
    let changes = match fields.get("changeTypes").and_then(Value::as_str).map(str::parse::<ChangeTypes>) {
        Some(Ok(changes)) => Some(changes),
        Some(Err(problem)) => {
            problems.push(format!("`changeTypes`: {problem}"));
            None
        }
        None => {
            problems.push("`changeTypes` is missing".into());
            None
        }
    };
    let rich = match fields.get("rich") {
        None => Some(false),
        Some(rich) => rich.as_bool(),
    };
    if rich.is_none() {
        problems.push("`rich`: expected true or false".into());
    }
    let minutes = match fields.get("lifetimeMinutes") {
        None => None,
        Some(minutes) => {
            // Graph gives no subscription less than 45 minutes.
            let minutes = minutes.as_u64().filter(|minutes| (45..=525_600).contains(minutes));
            if minutes.is_none() {
                problems.push("`lifetimeMinutes`: expected a number from 45 on".into());
            }
            minutes
        }
    };
    let (Some(resource), Some(changes), Some(rich)) = (resource, changes, rich) else { return Err(problems) };
    let terms = resource.kind().and_then(|kind| kind.subscription);
    if resource.is_presence() {
        problems.push("Graph lets a signed-in user subscribe to presences, and no app such as the bridge".into());
    } else if let Some(terms) = terms {
        if rich && terms.rich_minutes.is_none() {
            problems.push("`rich`: notifications of this resource cannot carry it".into());
        }
        if rich && terms.rich_needs_select && !resource.has_select() {
            problems.push("`rich`: add ?$select= and the properties that notifications are to carry".into());
        }
    } else if minutes.is_none() {
        problems.push("the bridge does not know this resource's longest lifetime; add `lifetimeMinutes`".into());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let longest = terms.map(|terms| terms.rich_minutes.filter(|_| rich).unwrap_or(terms.minutes));
    let minutes = minutes.or(longest.map(u64::from)).unwrap_or_default();
    Ok(WantedSubscription {
        place,
        changes,
        rich,
        life: Duration::from_secs(60 * minutes),
        permission: terms.map_or("that reads this resource", |terms| terms.permission),
        resource,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(subscriptions: &str) -> Result<KeeperSettings, Vec<String>> {
        let url = "https://bridge.example/prod/";
        let mut env = Environment::of([("SUBSCRIPTIONS", subscriptions), ("WEBHOOK_URL", url)]);
        let settings = KeeperSettings::read(&mut env);
        env.finish(settings).map_err(|error| error.problems)
    }

    #[test]
    fn what_is_wanted_is_read_with_the_lives_that_microsoft_allows() {
        let settings = settings(
            r#"[{"resource": "users/u/chats/getAllMessages", "changeTypes": "deleted, created", "rich": true},
                {"resource": "/users/u/messages?$select=subject", "changeTypes": "created", "rich": true},
                {"resource": "/users/u/events", "changeTypes": "updated"},
                {"resource": "/print/printers/p/jobs", "changeTypes": "updated", "lifetimeMinutes": 4230}]"#,
        )
        .unwrap();
        let told: Vec<_> = settings
            .wanted
            .iter()
            .map(|it| (it.place, it.changes.to_string(), it.rich, it.life.as_secs() / 60, it.permission))
            .collect();
        assert_eq!(
            told,
            [
                (1, "created,deleted".into(), true, 4_320, "Chat.Read.All"),
                (2, "created".into(), true, 1_440, "Mail.Read"),
                (3, "updated".into(), false, 10_080, "Calendars.Read"),
                (4, "updated".into(), false, 4_230, "that reads this resource"),
            ]
        );
        assert_eq!(settings.notification_url, "https://bridge.example/prod/graph/notifications");
        assert_eq!(settings.lifecycle_url, "https://bridge.example/prod/graph/lifecycle");
        assert_eq!(settings.wanted[0].resource.path(), "/users/u/chats/getAllMessages");
        assert!(settings.silence.is_some() && settings.reconcile.is_some());
    }

    #[test]
    fn every_mistake_is_told_at_once_by_its_entry() {
        let problems = settings(
            r#"[{"resource": "https://graph.microsoft.com/v1.0/users", "changeTypes": "moved"},
                {"resource": "/users/kim@contoso.com/messages", "changeTypes": "created", "rich": true},
                {"resource": "/chats/c/messages", "changeTypes": "created", "rich": "yes", "lifetimeMinutes": 5},
                {"resource": "/communications/callRecords", "changeTypes": "created", "rich": true, "lifetime": 9},
                {"resource": "/communications/presences/u", "changeTypes": "updated"},
                {"resource": "/print/printers", "changeTypes": "updated"},
                {"changeTypes": 7}, 8,
                {"resource": "/users/u/events", "changeTypes": "updated"},
                {"resource": "users/u/events", "changeTypes": "created"}]"#,
        )
        .unwrap_err();
        insta::assert_snapshot!(problems.join("\n"));
        assert!(!problems.concat().contains("kim@"), "a name is no part of a mistake");
    }

    #[test]
    fn a_resource_is_named_once_in_whichever_spelling() {
        let problems = settings(
            r#"[{"resource": "/users/U/mailFolders('inbox')/messages", "changeTypes": "created"},
                {"resource": "Users('U')/MailFolders/inbox/Messages", "changeTypes": "updated"},
                {"resource": "/users/U/mailFolders('inbox')/messages?$select=id", "changeTypes": "deleted"}]"#,
        )
        .unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("entry 2: the resource is that of entry 1"), "{problems:?}");
    }

    #[test]
    fn nothing_wanted_is_a_wish_and_no_json_is_a_mistake() {
        assert_eq!(settings("[]").unwrap().wanted, []);
        for text in ["", "{}", "[", "hello"] {
            assert_eq!(settings(text).unwrap_err().len(), 1, "{text}");
        }
    }

    #[test]
    fn what_is_switched_off_is_off() {
        let mut env = Environment::of([
            ("SUBSCRIPTIONS", "[]"),
            ("WEBHOOK_URL", "http://localhost:4566"),
            ("SUBSCRIPTION_SILENCE_MINUTES", "0"),
            ("SUBSCRIPTION_RECONCILE_MINUTES", "0"),
        ]);
        let settings = KeeperSettings::read(&mut env).unwrap();
        assert_eq!((settings.silence, settings.reconcile), (None, None));
        assert_eq!(settings.notification_url, "http://localhost:4566/graph/notifications");
    }
}
