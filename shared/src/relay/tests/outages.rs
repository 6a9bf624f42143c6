//! Long outages, in virtual time: nothing is lost, nothing is set aside, the order is kept.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::queue::FifoQueue;
use super::scene::{Scene, line, locked};
use crate::error::Code;
use crate::relay::{MAX_POSTS, MAX_RECEIVES};

const GROUPS: i64 = 20;

const LINES: i64 = 15;

/// Sends lines of all groups at the beginning of an outage, and serves until all are delivered. Returns how long after
/// its end the last of them was delivered, and the most receives.
async fn through(scene: &Scene, code: Code, outage: Duration) -> (Duration, u32) {
    let mut queue = FifoQueue::default();
    for id in 0..LINES {
        for group in 0..GROUPS {
            queue.send(line(&format!("g{group}"), id));
        }
    }
    let began = Instant::now();
    scene.outage(code, outage);
    queue.drain(scene).await;
    assert_eq!(scene.back().set_aside(), [], "an outage is nobody's poison");
    (began.elapsed().saturating_sub(outage), queue.most_receives)
}

#[tokio::test(start_paused = true)]
async fn outages_of_all_kinds_end_with_everything_delivered_in_order() {
    let hour = Duration::from_secs(3600);
    for (code, outage) in [
        (Code::GENESYS_UNAVAILABLE, Duration::from_secs(40 * 60)),
        (Code::GENESYS_THROTTLED, hour),
        // A secret that expires on Friday evening, and is replaced on Monday morning.
        (Code::ENTRA_REFUSED, hour * 63),
        (Code::GENESYS_REFUSED, hour * 63),
        (Code::PERMISSION_MISSING, hour * 63),
        (Code::STATE_UNAVAILABLE, hour * 24 * 7),
    ] {
        let scene = Scene::default();
        let (late, receives) = through(&scene, code, outage).await;
        for group in 0..GROUPS {
            let all: Vec<_> = (0..LINES).collect();
            assert_eq!(scene.arrived(&format!("g{group}")), all, "{code:?}");
        }
        assert!(late < Duration::from_secs(20 * 60), "{code:?}: {late:?} after its end");
        assert!(receives < MAX_RECEIVES, "{code:?}: {receives}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_takes_and_does_not_say_so_costs_no_more_copies_than_stated() {
    let scene = Scene::default();
    *locked(&scene.sinks().takes_in_doubt) = true;
    through(&scene, Code::OUTCOME_UNKNOWN, Duration::from_secs(40 * 60)).await;
    let mut copies: BTreeMap<(String, i64), u32> = BTreeMap::new();
    for arrived in locked(&scene.sinks().arrived).iter() {
        *copies.entry((arrived.group.clone(), arrived.id)).or_default() += 1;
    }
    assert_eq!(copies.len(), usize::try_from(GROUPS * LINES).unwrap(), "nothing is lost");
    assert!(copies.values().all(|copies| *copies <= MAX_POSTS), "{:?}", copies.values().max());
    for group in 0..GROUPS {
        let mut seen = HashSet::new();
        let firsts: Vec<_> = scene.arrived(&format!("g{group}")).into_iter().filter(|id| seen.insert(*id)).collect();
        assert!(firsts.is_sorted(), "{firsts:?}");
    }
}
