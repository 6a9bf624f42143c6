//! The code has one table of what Microsoft says about Graph's resources. The page on subscriptions and the script for
//! Entra ID must say the same.

use std::collections::BTreeSet;

use bridge::graph::resource::{CHANNEL_MESSAGE, CHAT_MESSAGE, KINDS, MAIL_MESSAGE, ResourceKind, SubscriptionTerms};

use super::entra::granted;
use super::{code_spans, file, table};

const PAGE: &str = "docs/reference/subscriptions.md";

/// The kinds that a feature of the script is for.
const FEATURES: [(&str, ResourceKind); 3] =
    [("Chats", CHAT_MESSAGE), ("Channels", CHANNEL_MESSAGE), ("Mail", MAIL_MESSAGE)];

fn with_commas(minutes: u32) -> String {
    if minutes < 1_000 { minutes.to_string() } else { format!("{},{:03}", minutes / 1_000, minutes % 1_000) }
}

/// A subscription's longest life, as the page writes it.
fn life(terms: SubscriptionTerms) -> String {
    let minutes = with_commas(terms.minutes);
    match terms.rich_minutes {
        None => format!("{minutes}, never rich"),
        Some(rich) if rich == terms.minutes => minutes,
        Some(rich) => format!("{minutes} ({})", with_commas(rich)),
    }
}

#[test]
fn the_page_of_subscriptions_says_what_the_table_says() {
    let page = file(PAGE);
    let mut told = BTreeSet::new();
    for row in table(&page, "| resource | application permission | minutes (rich) | listed |") {
        let &[resources, permission, minutes, listed] = row.as_slice() else { panic!("{row:?}") };
        for path in code_spans(resources) {
            let path = path.trim_start_matches('/').replace("('inbox')", "/ID").replace("ID", "{}");
            let row = (path, permission.trim_matches('`').to_owned(), minutes.to_owned(), listed.starts_with("yes"));
            assert!(told.insert(row.clone()), "{row:?} stands there twice");
        }
    }
    let mut known = BTreeSet::new();
    for kind in KINDS {
        let Some(terms) = kind.subscription else { continue };
        for watched in kind.watched {
            let permission = terms.permission.to_owned();
            known.insert((watched.path.to_owned(), permission, life(terms), watched.listed.is_some()));
        }
    }
    assert_eq!(told, known);
}

#[test]
fn the_script_grants_what_subscriptions_need() {
    let mut granted = granted();
    for (feature, kind) in FEATURES {
        let needed = BTreeSet::from([kind.read_permission, kind.subscription.unwrap().permission]);
        let granted = granted.remove(feature).unwrap_or_default();
        assert_eq!(granted, needed.into_iter().map(str::to_owned).collect(), "{feature}");
    }
    // No other feature is there for reading what Graph tells of.
    let of_kinds: BTreeSet<&str> = KINDS.iter().map(|kind| kind.read_permission).collect();
    for (feature, permissions) in granted {
        assert!(permissions.iter().all(|permission| !of_kinds.contains(permission.as_str())), "{feature}");
    }
}
