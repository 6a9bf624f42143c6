//! The fallbacks on the way to a meeting, each told in the answer.

use sandbox::stand_ins::ORGANIZER_ID;
use serde_json::json;

use crate::{alone, beside_others, conversation, meeting_of, post, user};

#[test]
fn without_an_access_policy_a_calendar_event_of_the_same_agent_does() {
    beside_others(async |sandbox| {
        let agent = user(sandbox, |user| user.access_policy = false);
        let body = json!({"user": agent.upn, "conversationId": conversation()});
        let first = post(sandbox, "/meetings", &body).await;
        assert_eq!((first.status, first.text("code"), first.text("mode")), (200, "created", "calendar-event"));
        assert_eq!((first.text("organizer"), &first.body["organizerFallback"]), (agent.id.as_str(), &json!(false)));
        assert!(first.text("message").contains("New-CsApplicationAccessPolicy"), "{}", first.body);
        let second = post(sandbox, "/meetings", &body).await;
        assert_eq!((second.text("code"), second.text("joinUrl")), ("existing", first.text("joinUrl")));
        assert_eq!(sandbox.world.events_of(&agent.id), 1);
        // Asked for an online meeting only, the default organizer stands in.
        let online = meeting_of(sandbox, &agent.upn, "online-meeting").await;
        assert_eq!((online.text("mode"), online.text("organizer")), ("online-meeting", ORGANIZER_ID));
    });
}

#[test]
fn an_agent_who_cannot_organize_is_stood_in_for() {
    beside_others(async |sandbox| {
        let no_teams = user(sandbox, |user| user.teams = false);
        let no_policy_no_mailbox = user(sandbox, |user| {
            user.access_policy = false;
            user.mailbox = false;
        });
        for agent in ["nobody@contoso.com", &uuid::Uuid::new_v4().to_string(), &no_teams.upn, &no_policy_no_mailbox.id]
        {
            let answer = meeting_of(sandbox, agent, "auto").await;
            assert_eq!((answer.status, answer.ok(), answer.text("organizer")), (200, true, ORGANIZER_ID), "{agent}");
            assert_eq!(answer.body["organizerFallback"], true, "{agent}");
            assert!(answer.text("message").contains("default organizer stands in"), "{}", answer.body);
        }
    });
}

#[test]
fn a_silent_downgrade_is_seen_through_and_leaves_no_litter() {
    beside_others(async |sandbox| {
        let no_teams = user(sandbox, |user| user.teams = false);
        let answer = meeting_of(sandbox, &no_teams.upn, "calendar-event").await;
        assert_eq!((answer.ok(), &answer.body["organizerFallback"]), (true, &json!(true)));
        assert_eq!(sandbox.world.events_of(&no_teams.id), 0);
    });
}

#[test]
fn a_calendar_event_s_lobby_is_opened_through_its_link() {
    beside_others(async |sandbox| {
        let agent = user(sandbox, |_| {});
        let answer = meeting_of(sandbox, &agent.upn, "calendar-event").await;
        assert_eq!((answer.text("mode"), answer.text("lobby")), ("calendar-event", "everyone"));
    });
}

#[test]
fn a_meeting_policy_that_overrules_the_lobby_is_told() {
    beside_others(async |sandbox| {
        let agent = user(sandbox, |user| user.lobby_policy = Some("organizationAndFederated".into()));
        let answer = meeting_of(sandbox, &agent.id, "auto").await;
        assert_eq!((answer.ok(), answer.text("lobby")), (true, "organizationAndFederated"));
        assert!(answer.text("message").contains("meeting policy"));
    });
}

#[test]
fn a_late_join_url_is_waited_for_and_then_called_pending() {
    alone(async |sandbox| {
        let agent = user(sandbox, |_| {});
        sandbox.world.directory().late_links = 2;
        let late = meeting_of(sandbox, &agent.id, "calendar-event").await;
        assert!(late.ok() && late.text("joinUrl").starts_with("https://"), "{}", late.body);
        sandbox.world.directory().late_links = 1000;
        let pending = meeting_of(sandbox, &agent.id, "calendar-event").await;
        assert_eq!((pending.text("code"), &pending.body["retryable"]), ("meetingUrlPending", &json!(true)));
        assert_eq!(pending.text("joinUrl"), "");
    });
}
