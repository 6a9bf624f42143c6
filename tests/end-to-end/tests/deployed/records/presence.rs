//! The rules of the records of presences, held to the table and to its twin in memory.

use std::time::Duration;

use bridge::http::{Deadline, RequestContext};
use bridge::store::last_presence::{
    Advanced, DueTurns, DynamoLastPresences, LastPresence, LastPresences, LeaseAnswer, LinkReading, LinkTable,
    MemoryLastPresences, Reason, SenderLease, SentPresence, Settled, TeamsLink, Turn, TurnPlan, WantedPresence,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::client;
use crate::{alone, beside_others};

#[test]
fn the_last_presence_goes_forward_only_and_says_who_was_overtaken() {
    beside_others(async |sandbox| {
        let table = sandbox.output("StateTable").into();
        the_last_presence_s_rules(&DynamoLastPresences::new(client(sandbox), table)).await;
        the_last_presence_s_rules(&MemoryLastPresences::default()).await;
    });
}

#[test]
fn the_backlog_gives_those_whose_turn_has_come_in_their_order() {
    alone(async |sandbox| {
        let table = sandbox.output("StateTable").into();
        whose_turn_it_is(&DynamoLastPresences::new(client(sandbox), table)).await;
        whose_turn_it_is(&MemoryLastPresences::default()).await;
    });
}

async fn whose_turn_it_is(last: &(impl LastPresences + LinkTable)) {
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
    // Times of their own, before those of other tests, which share the table; and nobody whom the function would serve.
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let turn = |reason, second| Some(Turn { reason, at: at(second) });
    let wanted = |second| WantedPresence { modified: at(second), target: "Away/Away".into(), urgent: false };
    let plan = |turn| TurnPlan { turn, tries: 2, seen: at(100) };
    let users: Vec<_> = std::iter::repeat_with(Uuid::new_v4).take(9).collect();
    for (second, user) in (10..).zip(&users) {
        last.advance(&cx, *user, &wanted(second), turn(Reason::Renewal, second), at(100)).await.unwrap();
    }
    let due = async |reason, second| {
        let DueTurns { turns, cut_off } = last.due(&cx, reason, at(second), 50).await.unwrap();
        assert!(!cut_off);
        turns.into_iter().map(|(_, user)| user).collect::<Vec<_>>()
    };
    assert_eq!(due(Reason::Renewal, 18).await, users);
    assert_eq!(due(Reason::Renewal, 15).await, users[..6]);
    // Nine users in four parts: one part at least has more than two.
    let first = last.due(&cx, Reason::Renewal, at(18), 2).await.unwrap();
    assert!(first.cut_off);
    assert_eq!(first.turns[..2], [(at(10), users[0]), (at(11), users[1])]);
    assert!(due(Reason::Urgent, 18).await.is_empty());

    // One gets another turn, one is done with, one is sent what it wants and renewed later; of the fourth, newer is known.
    last.plan(&cx, users[0], at(10), &plan(turn(Reason::Urgent, 10))).await.unwrap();
    last.plan(&cx, users[1], at(11), &plan(None)).await.unwrap();
    let sent = SentPresence { target: "Away/Away".into(), mode: Some("both".into()), until: at(90) };
    let settled = last.settle(&cx, users[2], at(12), &sent, turn(Reason::Renewal, 17)).await.unwrap();
    assert_eq!(settled, Settled::Done);
    last.plan(&cx, users[3], at(1), &plan(None)).await.unwrap();
    assert_eq!(due(Reason::Urgent, 18).await, users[..1]);
    assert_eq!(due(Reason::Renewal, 16).await, users[3..7]);
    assert_eq!(due(Reason::Renewal, 18).await.len(), 7);

    // A link is kept beside that, and before any event.
    let (stranger, link) = (Uuid::new_v4(), TeamsLink { teams_user: Some(users[0]), since: at(50) });
    for user in [users[0], stranger] {
        last.link(&cx, user, &link).await.unwrap();
    }
    let known = last.read(&cx, &[users[0], stranger]).await.unwrap();
    let first = LastPresence { wanted: wanted(10), sent: None, link: Some(link), plan: plan(turn(Reason::Urgent, 10)) };
    assert_eq!(known, [(users[0], first)], "a link alone is nothing to send");
    let advanced = last.advance(&cx, stranger, &wanted(10), None, at(100)).await.unwrap();
    assert_eq!(advanced, Advanced::Newest(None));
    assert_eq!(last.read(&cx, &[stranger]).await.unwrap()[0].1.link, Some(link));
    let nobody = TeamsLink { teams_user: None, since: at(60) };
    last.link(&cx, stranger, &nobody).await.unwrap();
    assert_eq!(last.read(&cx, &[stranger]).await.unwrap()[0].1.link, Some(nobody));
    for (second, user) in (10..).zip(&users) {
        last.plan(&cx, *user, at(second), &plan(None)).await.unwrap();
    }
}

#[test]
fn one_instance_sends_at_a_time() {
    alone(async |sandbox| {
        let table: String = sandbox.output("StateTable").into();
        who_sends(&DynamoLastPresences::new(client(sandbox), table)).await;
        who_sends(&MemoryLastPresences::default()).await;
    });
}

async fn who_sends(last: &(impl SenderLease + LinkTable)) {
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
    // Far ahead, so that whatever was held before has ended.
    let at = |second: i64| Timestamp::from_second(4_000_000_000 + second).unwrap();
    let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
    let lease = async |holder, now, until| last.lease(&cx, holder, at(now), at(until)).await.unwrap();
    let held = |unseen| LeaseAnswer::Held { unseen };
    let taken = |by, until| LeaseAnswer::Taken { by, until: at(until) };
    // The deployed function has held it, too, and has given it back in whichever way.
    lease(other, -20, -10).await;
    assert_eq!(lease(one, 0, 10).await, held(true), "nobody knows how the holder before ended");
    assert_eq!(lease(other, 9, 20).await, taken(Some(one), 10));
    assert_eq!(lease(one, 9, 20).await, held(false), "the holder renews it");
    assert_eq!(lease(other, 19, 30).await, taken(Some(one), 20));
    assert_eq!(lease(other, 20, 30).await, held(true), "it has ended, and its holder did not give it back");
    assert_eq!(lease(one, 21, 30).await, taken(Some(other), 30));

    // The word that another instance leaves is heard once, and keeps the lease from being given back as emptied.
    let leave_word = async |holder| last.leave_word(&cx, holder).await.unwrap();
    let give_back = async |holder, until, emptied| last.give_back(&cx, holder, at(until), emptied).await.unwrap();
    assert!(!leave_word(Some(one)).await, "it is not the holder any more");
    assert!(leave_word(Some(other)).await);
    assert!(!give_back(other, 22, true).await);
    assert_eq!(lease(other, 22, 30).await, held(true));
    assert_eq!(lease(other, 23, 30).await, held(false));
    assert!(give_back(other, 25, true).await);
    assert!(give_back(other, 90, true).await, "it was given back before");
    assert_eq!(lease(one, 24, 30).await, taken(None, 25));
    assert_eq!(lease(one, 25, 30).await, held(false), "it was emptied");
    assert!(give_back(one, 26, true).await);
    assert!(leave_word(None).await);
    assert_eq!(lease(other, 26, 40).await, held(true));
    assert!(give_back(other, 27, false).await);
    assert_eq!(lease(one, 27, 40).await, held(true), "it was not emptied");
    // The deployed function goes by the clock.
    assert!(last.give_back(&cx, one, Timestamp::UNIX_EPOCH, false).await.unwrap());

    // Beside it stands how far the links were read. The deployed function has no reason to begin again.
    let reading = LinkReading { next: 26, at: at(0) };
    last.keep_reading(&cx, &reading).await.unwrap();
    assert_eq!(last.reading(&cx).await.unwrap(), Some(reading));
}

async fn the_last_presence_s_rules(last: &impl LastPresences) {
    let cx = RequestContext::new("test", Deadline::after(Duration::from_secs(60)));
    let user = Uuid::new_v4();
    let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
    let wanted = |second, target: &str| WantedPresence {
        modified: at(second),
        target: target.into(),
        urgent: target == "Busy/Busy",
    };
    let sent = |target: &str| SentPresence { target: target.into(), mode: Some("session".into()), until: at(9000) };
    let plan = TurnPlan { turn: None, tries: 0, seen: at(100) };
    let known = |wanted, sent| LastPresence { wanted, sent, link: None, plan };
    let advance = async |wanted| last.advance(&cx, user, wanted, None, at(100)).await.unwrap();
    let settle = async |second, target| last.settle(&cx, user, at(second), &sent(target), None).await.unwrap();

    let (away, busy, clear) = (wanted(10, "Away/Away"), wanted(20, "Busy/Busy"), wanted(30, "clear"));
    assert_eq!(advance(&away).await, Advanced::Newest(None));
    assert_eq!(settle(10, "Away/Away").await, Settled::Done);
    let before = known(away.clone(), Some(sent("Away/Away")));
    assert_eq!(advance(&busy).await, Advanced::Newest(Some(before)));
    let now = known(busy.clone(), Some(sent("Away/Away")));
    assert!(!now.is_settled());
    for not_newer in [&away, &busy] {
        assert_eq!(advance(not_newer).await, Advanced::Known(now.clone()));
    }
    assert_eq!(advance(&clear).await, Advanced::Newest(Some(now)));
    assert_eq!(settle(20, "Busy/Busy").await, Settled::Overtaken(known(clear.clone(), Some(sent("Away/Away")))));
    assert_eq!(settle(30, "clear").await, Settled::Done);
    let settled = known(clear.clone(), Some(sent("clear")));
    assert!(settled.is_settled());
    assert_eq!(advance(&clear).await, Advanced::Known(settled));
}
