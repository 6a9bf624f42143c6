//! The names that a running deployment has stored. If a key changed, the deliveries of the last week would be made
//! again; if a group changed, two messages of a chat could overtake each other during an upgrade.

use std::fmt::Write;

use super::Sink;
use crate::notification::Change;
use crate::notification::queued::group::group;
use crate::relay::KeyAhead;

/// Names as Microsoft Graph writes them in notifications, and as the bridge writes them for what it has listed.
const NAMES: [&str; 20] = [
    "chats('19:8ea0e38b-efb3-4757-924a-5f94061cf8c2_97f62344-57dc-409c-88ad-c4af14158ff5@unq.gbl.spaces')/messages('1612289765949')",
    "chats('19:d1A2c3Fz@thread.v2')/messages('1712027444034')",
    "chats/19:d1A2c3Fz@thread.v2/messages/1712027444034",
    "users('622eaaff-0683-4862-9de4-f2ec83c2bd98')/chats('19:d1A2c3Fz@thread.v2')/messages('1712027444034')",
    "chats('19:d1A2c3Fz@thread.v2')",
    "chats('19:d1A2c3Fz@thread.v2')/members('MCMjMCMjZGNkMjE5ZGQtYmM2OC00YjliLWJmMGItNGEzM2E3OTZiZTM1IyMx')",
    "teams('fbe2bf47-16c8-47cf-b4a5-4b9b187c508b')/channels('19:4a95F7d8@thread.tacv2')/messages('1565293727947')",
    "teams('fbe2bf47-16c8-47cf-b4a5-4b9b187c508b')/channels('19:4a95F7d8@thread.tacv2')/messages('1565293727947')/replies('1616991463150')",
    "Users/622eaaff-0683-4862-9de4-f2ec83c2bd98@3f0c1f6e-6c55-4b43-9a7c-0f4a3f0d5c11/Messages/AAMkAGUwNjQ4ZjIxLTQ3Y2YtNDViMi1iZjc4LTMA=",
    "Users('622eaaff-0683-4862-9de4-f2ec83c2bd98')/Messages('AAMkAGUwNjQ4ZjIxLTQ3Y2YtNDViMi1iZjc4LTMA=')",
    "Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Messages/AAMkAGUwNjQ4ZjIxLTQ3Y2YtNDViMi1iZjc4LTMA=",
    "Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Events/AAMkADllMWMAAA_b-Qk=",
    "Users/622eaaff-0683-4862-9de4-f2ec83c2bd98",
    "Groups/02bd9fd6-8f93-4758-87c3-1fb73740a315",
    "communications/callRecords/e523d2ed-2966-4b6b-925b-754a88034cc5",
    "communications/callRecords('e523d2ed-2966-4b6b-925b-754a88034cc5')",
    "communications/onlineMeetings('MSpkYzE3Njc0Yy04MWQ5')/transcripts('MSMjMCMjMDEyNjJmNjgt')",
    "communications/onlineMeetings('MSpkYzE3Njc0Yy04MWQ5')/recordings('MSMjMCMjMDEyNjJmNjgt')",
    "users('622eaaff-0683-4862-9de4-f2ec83c2bd98')/onlineMeetings('MSpkYzE3Njc0Yy04MWQ5')/transcripts('MSMjMCMjMDEyNjJmNjgt')",
    "communications/presences('622eaaff-0683-4862-9de4-f2ec83c2bd98')",
];

#[test]
fn the_keys_and_groups_of_what_graph_sends_stay_as_they_are() {
    let mut stored = String::new();
    for resource in NAMES {
        writeln!(stored, "{resource}\n  group {}", group(resource, "7f105c7d-2dc5-4530-97cd-4e7ae6534c07")).unwrap();
        for (change_type, etag) in [("created", "1712027444034"), ("updated", "W/\"CQAAABYAAAA\"")] {
            let [tenant_id, change_type, resource, etag] =
                ["3f0c1f6e-6c55-4b43-9a7c-0f4a3f0d5c11", change_type, resource, etag].map(str::to_owned);
            let change = Change { tenant_id, change_type, resource, etag, ..Change::default() };
            for sink in [Sink::OpenMessaging, Sink::EventBus] {
                if let KeyAhead::Key(key, version) = sink.key_ahead(&change) {
                    writeln!(stored, "  {} {} {version}", change.change_type, key.as_str()).unwrap();
                }
            }
        }
    }
    insta::assert_snapshot!(stored);
}
