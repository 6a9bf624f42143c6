use proptest::prelude::*;

use super::*;
use crate::config::Environment;
use crate::store::subscriptions::Progress;

const OURS: &str = "https://bridge.example/graph/notifications";
const LIFECYCLE: &str = "https://bridge.example/graph/lifecycle";
const RICH: &str = "/users/u/chats/getAllMessages";
const BASIC: &str = "/users/u/events";

fn settings() -> KeeperSettings {
    let subscriptions = format!(
        r#"[{{"resource": "{RICH}", "changeTypes": "created,updated", "rich": true}},
            {{"resource": "{BASIC}", "changeTypes": "created"}}]"#
    );
    let mut env =
        Environment::of([("SUBSCRIPTIONS", subscriptions.as_str()), ("WEBHOOK_URL", "https://bridge.example")]);
    let settings = KeeperSettings::read(&mut env);
    env.finish(settings).unwrap()
}

fn current() -> Current {
    Current { client_state: "now".into(), certificate_id: "new".into() }
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + 60 * minutes).unwrap()
}

/// A subscription as wanted, made at minute 0.
fn subscription(id: &str, resource: &str) -> Subscription {
    let rich = resource == RICH;
    Subscription {
        id: id.into(),
        resource: resource.trim_start_matches('/').into(),
        change_type: if rich { "updated,created" } else { "created" }.into(),
        notification_url: Some(OURS.into()),
        lifecycle_notification_url: Some(LIFECYCLE.into()),
        expires: Some(at(if rich { 4_320 } else { 10_080 })),
        include_resource_data: Some(rich),
        encryption_certificate_id: rich.then(|| "new".into()),
    }
}

fn kept(id: &str, resource: &str) -> KeptSubscription {
    KeptSubscription {
        subscription_id: id.into(),
        client_state: "now".into(),
        certificate_id: if resource == RICH { "new".into() } else { String::new() },
        begun: at(0),
        made: None,
        granted: Duration::from_secs(60 * if resource == RICH { 4_320 } else { 10_080 }),
        renewed: None,
    }
}

fn notes(kept: impl IntoIterator<Item = (&'static str, KeptSubscription)>) -> FoundNotes {
    let note =
        |(resource, kept): (&str, KeptSubscription)| (resource.to_owned(), Note { kept: Some(kept), progress: None });
    FoundNotes { by_resource: kept.into_iter().map(note).collect(), ..FoundNotes::default() }
}

fn both() -> (Vec<Subscription>, FoundNotes) {
    let actual = vec![subscription("r", RICH), subscription("b", BASIC)];
    (actual, notes([(RICH, kept("r", RICH)), (BASIC, kept("b", BASIC))]))
}

fn planned(actual: &[Subscription], notes: &FoundNotes, events: &Events, minutes: i64) -> Plan {
    plan(&settings(), actual, notes, events, &current(), at(minutes))
}

fn events(reauthorize: &[&str], removed: &[&str]) -> Events {
    let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    Events { reauthorize: set(reauthorize), removed: set(removed), missed: HashSet::new() }
}

#[test]
fn what_is_missing_is_created_and_what_is_as_wanted_is_kept() {
    let none = planned(&[], &FoundNotes::default(), &Events::default(), 1);
    assert_eq!(none, Plan { steps: vec![Step::Create, Step::Create], delete: vec![] });
    let (actual, notes) = both();
    let plan = planned(&actual, &notes, &Events::default(), 1);
    assert_eq!(plan.steps, [Step::Keep(actual[0].clone()), Step::Keep(actual[1].clone())]);
    assert_eq!(plan.delete, []);
}

#[test]
fn half_of_the_life_that_was_granted_counts_and_not_of_that_which_was_asked_for() {
    let (mut actual, mut notes) = both();
    let plan = planned(&actual, &notes, &Events::default(), 2_161);
    assert!(matches!(&plan.steps[..], [Step::Renew(_, Due::HalfLife), Step::Keep(_)]), "{plan:?}");
    // Graph gave an hour: half an hour later it is time, and not before.
    actual[0].expires = Some(at(60));
    notes.by_resource.get_mut(RICH).unwrap().kept.as_mut().unwrap().granted = Duration::from_secs(60 * 60);
    assert!(matches!(planned(&actual, &notes, &Events::default(), 20).steps[0], Step::Keep(_)));
    assert!(matches!(planned(&actual, &notes, &Events::default(), 31).steps[0], Step::Renew(..)));
}

#[test]
fn what_cannot_be_changed_is_replaced() {
    type Change = fn(&mut Subscription);
    let changes: [Change; 6] = [
        |it| it.change_type = "created".into(),
        |it| it.include_resource_data = Some(false),
        |it| it.lifecycle_notification_url = None,
        |it| it.lifecycle_notification_url = Some(OURS.into()),
        // The bridge's URL was another one when it was made; and Graph may spell a resource in its own way.
        |it| it.notification_url = Some("https://earlier.example/graph/notifications".into()),
        |it| {
            it.resource = it.resource.to_uppercase();
            it.change_type = "created".into();
        },
    ];
    for change in changes {
        let (mut actual, notes) = both();
        change(&mut actual[0]);
        let plan = planned(&actual, &notes, &Events::default(), 1);
        assert_eq!(plan.steps[0], Step::Replace(actual[0].clone(), Outdated::Shape));
    }
    // Made with another client state, or with one that nobody knows.
    let (actual, mut notes) = both();
    notes.by_resource.get_mut(RICH).unwrap().kept.as_mut().unwrap().client_state = "before".into();
    notes.by_resource.remove(BASIC);
    let plan = planned(&actual, &notes, &Events::default(), 1);
    let expected = actual.into_iter().map(|it| Step::Replace(it, Outdated::ClientState)).collect::<Vec<_>>();
    assert_eq!(plan.steps, expected);
}

#[test]
fn a_subscription_is_known_by_its_resource_in_whichever_spelling() {
    let (mut actual, mut notes) = both();
    actual[1].resource = "Users('u')/Events".into();
    // The answer to its creation got lost, so that only the resource tells that it is the one.
    notes.by_resource.get_mut(BASIC).unwrap().kept.as_mut().unwrap().subscription_id = String::new();
    let plan = planned(&actual, &notes, &Events::default(), 1);
    assert_eq!((&plan.steps[1], plan.delete.len()), (&Step::Adopt(actual[1].clone()), 0));
}

#[test]
fn a_newer_certificate_is_sent_once_to_those_that_need_one() {
    let (mut actual, mut notes) = both();
    actual[0].encryption_certificate_id = Some("old".into());
    notes.by_resource.get_mut(RICH).unwrap().kept.as_mut().unwrap().certificate_id = "old".into();
    let plan = planned(&actual, &notes, &Events::default(), 1);
    assert!(matches!(&plan.steps[..], [Step::Renew(_, Due::Certificate), Step::Keep(_)]), "{plan:?}");
    // It was sent, and Graph does not say so.
    for says in [Some("old".to_owned()), None] {
        actual[0].encryption_certificate_id = says;
        notes.by_resource.get_mut(RICH).unwrap().kept.as_mut().unwrap().certificate_id = "new".into();
        assert!(matches!(planned(&actual, &notes, &Events::default(), 1).steps[0], Step::Keep(_)));
    }
}

#[test]
fn graph_s_wish_to_authorize_is_followed_unless_it_just_was() {
    let (actual, mut notes) = both();
    let wish = events(&["r", "nobody-s"], &[]);
    assert_eq!(planned(&actual, &notes, &wish, 60).steps[0], Step::Renew(actual[0].clone(), Due::Reauthorization));
    notes.by_resource.get_mut(RICH).unwrap().kept.as_mut().unwrap().renewed = Some(at(51));
    assert!(matches!(planned(&actual, &notes, &wish, 60).steps[0], Step::Keep(_)));
    assert!(matches!(planned(&actual, &notes, &wish, 61).steps[0], Step::Renew(..)));
}

#[test]
fn one_that_was_removed_or_has_ended_is_created_anew() {
    let (actual, notes) = both();
    let plan = planned(&actual, &notes, &events(&[], &["r"]), 1);
    assert_eq!((&plan.steps[0], plan.delete.len()), (&Step::Create, 0));
    assert_eq!(planned(&actual, &notes, &Events::default(), 4_320).steps[0], Step::Create);
}

#[test]
fn one_whose_creation_went_unanswered_is_adopted() {
    let (actual, mut notes) = both();
    notes.by_resource.get_mut(RICH).unwrap().kept.as_mut().unwrap().subscription_id = String::new();
    let plan = planned(&actual, &notes, &Events::default(), 1);
    assert_eq!(plan.steps[0], Step::Adopt(actual[0].clone()));
}

#[test]
fn nobody_s_wish_is_deleted_where_it_is_ours_and_left_alone_where_it_is_not() {
    let (mut actual, notes) = both();
    actual.push(subscription("unwanted", "/users/other/events"));
    actual.push(subscription("second", RICH));
    let mut foreign = subscription("foreign", RICH);
    foreign.notification_url = Some(format!("{OURS}/"));
    let mut of_nobody = subscription("of-nobody", "/groups");
    of_nobody.notification_url = None;
    actual.extend([foreign, of_nobody]);
    let plan = planned(&actual, &notes, &Events::default(), 1);
    let deleted: Vec<_> = plan.delete.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(deleted, ["second", "unwanted"]);
    assert_eq!(plan.steps[0], Step::Keep(actual[0].clone()));
}

#[test]
fn silence_is_counted_from_the_last_notification_or_the_creation() {
    let hour = Some(Duration::from_secs(60 * 60));
    let kept = kept("r", RICH);
    assert!(!is_silent(&kept, None, hour, at(60)) && is_silent(&kept, None, hour, at(61)));
    assert!(!is_silent(&kept, Some(at(30)), hour, at(90)) && is_silent(&kept, Some(at(30)), hour, at(91)));
    assert!(!is_silent(&kept, Some(at(-9000)), hour, at(60)), "that was before it was made");
    assert!(!is_silent(&kept, None, None, at(100_000)), "switched off");
    let made_late = KeptSubscription { made: Some(at(30)), ..kept };
    assert!(!is_silent(&made_late, None, hour, at(90)) && is_silent(&made_late, None, hour, at(91)));
}

#[test]
fn a_listing_is_due_at_first_when_it_is_urgent_under_way_or_time() {
    let settings = settings();
    let due = |under_way, urgent, minutes| {
        let progress = Progress {
            version: 1,
            closed_until: at(0),
            until: None,
            since: None,
            under_way,
            link: None,
            refused: None,
        };
        let note = Note { kept: None, progress: Some(progress) };
        is_listing_due(Some(&note), &settings, urgent, at(minutes))
    };
    assert!(is_listing_due(None, &settings, false, at(0)));
    assert!(!due(None, false, 14) && due(None, false, 15) && due(None, true, 1) && due(Some(at(0)), false, 1));
}

/// Subscriptions of all shapes, some of them ours.
fn any_subscription() -> impl Strategy<Value = Subscription> {
    let resource = prop_oneof![Just(RICH), Just(BASIC), Just("/groups")];
    let change = prop_oneof![Just("created"), Just("created,updated"), Just("updated,created"), Just("x")];
    (0_u8..6, resource, change, any::<bool>(), -10_i64..20_000, proptest::option::of(any::<bool>())).prop_map(
        |(id, resource, change, ours, minutes, rich)| Subscription {
            id: id.to_string(),
            resource: resource.into(),
            change_type: change.into(),
            notification_url: Some(if ours { OURS } else { "https://other.example" }.into()),
            lifecycle_notification_url: Some(LIFECYCLE.into()),
            expires: Some(at(minutes)),
            include_resource_data: rich,
            encryption_certificate_id: None,
        },
    )
}

proptest! {
    #[test]
    fn no_plan_touches_what_is_not_ours_or_does_two_things_to_one(
        actual in proptest::collection::vec(any_subscription(), 0..8),
        known in any::<bool>(), removed in 0_u8..6, order in any::<u64>(),
    ) {
        let notes = if known { both().1 } else { FoundNotes::default() };
        let events = events(&["1", "2"], &[&removed.to_string()]);
        let plan = planned(&actual, &notes, &events, 1);
        prop_assert_eq!(plan.steps.len(), 2);
        let of_steps = plan.steps.iter().filter_map(|step| match step {
            Step::Create => None,
            Step::Replace(it, _) | Step::Renew(it, _) | Step::Adopt(it) | Step::Keep(it) => Some(it),
        });
        let mut seen = HashSet::new();
        for it in of_steps.chain(&plan.delete) {
            prop_assert_eq!(it.notification_url.as_deref(), Some(OURS));
            prop_assert!(seen.insert(it.id.clone()), "twice: {}", it.id);
        }
        // In whatever order Graph lists them.
        let mut shuffled = actual.clone();
        fastrand::Rng::with_seed(order).shuffle(&mut shuffled);
        let ids_are_unique = actual.iter().map(|it| &it.id).collect::<HashSet<_>>().len() == actual.len();
        if ids_are_unique {
            prop_assert_eq!(planned(&shuffled, &notes, &events, 1), plan);
        }
    }

    #[test]
    fn what_was_just_renewed_is_not_renewed_again_and_nothing_ends_unrenewed(
        id in "[0-9a-f]{8}", granted in 45_u64..50_000,
    ) {
        let life = Duration::from_secs(60 * granted);
        let minutes = i64::try_from(granted).unwrap();
        prop_assert!(!half_life_is_over(&id, life, at(minutes), at(0)));
        prop_assert!(!half_life_is_over(&id, life, at(minutes), at(minutes * 39 / 100)));
        prop_assert!(half_life_is_over(&id, life, at(minutes), at(minutes / 2 + 1)));
        prop_assert!(!is_near_expiry(Some(at(minutes)), life, at(minutes / 2 + 1)));
        prop_assert!(is_near_expiry(Some(at(minutes)), life, at(minutes * 3 / 4 + 1)));
    }
}
