//! From Teams to Genesys Cloud: subscription, webhook, queue, worker, and the conversation that an agent sees.

use sandbox::sandbox::Sandbox;
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{
    AGENT_ID, COLLEAGUE_ID, Conversation, Edit, NewMessage, NotificationSettings, Sender, Vendor,
};
use serde_json::json;
use uuid::Uuid;

use crate::{alone, until};

/// A chat of the agent with another person.
fn chat(sandbox: &Sandbox) -> String {
    let id = format!("19:{}@thread.v2", Uuid::new_v4().simple());
    sandbox.world.put_chat(&id, None, &[AGENT_ID, COLLEAGUE_ID]).unwrap();
    id
}

fn conversation(sandbox: &Sandbox, chat: &str) -> Option<Conversation> {
    sandbox.world.conversations().into_iter().find(|it| it.from["id"] == chat)
}

fn texts(sandbox: &Sandbox, chat: &str) -> Vec<String> {
    let messages = conversation(sandbox, chat).map(|it| it.messages).unwrap_or_default();
    messages.into_iter().map(|message| message.text).collect()
}

fn guest() -> Sender {
    Sender::Guest("Robin Müller".into())
}

#[test]
fn what_is_written_in_teams_is_shown_in_genesys_cloud_with_its_photo() {
    alone(async |sandbox| {
        sandbox.look_after_subscriptions().await.unwrap();
        let chat = chat(sandbox);
        let photo = b"\x89PNG\r\n\x1a\nnot much of a picture";
        let message = NewMessage::html(guest(), "<p>Look at <b>this</b></p>").image("image/png", photo);
        let id = sandbox.world.write_message(&chat, message).unwrap();
        let shown = until(|| conversation(sandbox, &chat).filter(|it| !it.messages.is_empty())).await;
        assert_eq!(shown.from["nickname"], "Robin Müller");
        let message = &shown.messages[0];
        assert!(message.text.starts_with("Look at this"), "{}", message.text);
        assert_eq!((message.metadata["teamsMessageId"].as_str(), message.attachments.len()), (Some(id.as_str()), 1));
        // Genesys Cloud has fetched it by the link, without a token.
        let attachment = &message.attachments[0];
        assert_eq!((attachment.status, attachment.bytes), (Some(200), photo.len()), "{attachment:?}");
        assert_eq!(attachment.fetched_type, "image/png");
    });
}

#[test]
fn a_photo_that_not_every_replica_of_graph_s_has_yet_comes_along_all_the_same() {
    alone(async |sandbox| {
        sandbox.look_after_subscriptions().await.unwrap();
        let chat = chat(sandbox);
        sandbox.world.faults.add(Fault::at(Vendor::Graph, "hostedContents").times(2).status(404));
        let message = NewMessage::html(guest(), "<p>Look</p>").image("image/png", b"a picture");
        sandbox.world.write_message(&chat, message).unwrap();
        let shown = until(|| conversation(sandbox, &chat).filter(|it| !it.messages.is_empty())).await;
        assert_eq!(shown.messages[0].attachments.len(), 1, "{}", shown.messages[0].text);
    });
}

#[test]
fn a_second_writer_is_named_and_what_a_policy_blocks_is_withheld() {
    alone(async |sandbox| {
        sandbox.look_after_subscriptions().await.unwrap();
        let chat = chat(sandbox);
        let first = sandbox.world.write_message(&chat, NewMessage::text(guest(), "my card is 4111")).unwrap();
        let agent = Sender::User(AGENT_ID.into(), "Kim".into());
        sandbox.world.write_message(&chat, NewMessage::text(agent, "thank you")).unwrap();
        let shown = until(|| conversation(sandbox, &chat).filter(|it| it.messages.len() == 2)).await;
        assert_eq!(shown.from["nickname"], "Robin Müller");
        for (count, verdict) in
            [(3, json!({"dlpAction": "notifySender, blockAccess"})), (4, json!({"userAction": "override"}))]
        {
            sandbox.world.change_message(&chat, &first, &Edit::Verdict(verdict)).unwrap();
            until(|| (texts(sandbox, &chat).len() == count).then_some(())).await;
        }
        let all = texts(sandbox, &chat);
        assert_eq!(all[..2], ["my card is 4111", "Kim: thank you"]);
        assert!(all[2].starts_with("[blocked by the organization's policy: the message of "), "{}", all[2]);
        assert!(all[3].starts_with("[no longer blocked: ") && all[3].ends_with("\nmy card is 4111"), "{}", all[3]);
    });
}

#[test]
fn edits_deletions_repetitions_and_failures_come_out_once_and_in_order() {
    alone(async |sandbox| {
        sandbox.look_after_subscriptions().await.unwrap();
        let chat = chat(sandbox);
        let before = sandbox.world.notifications().settings;
        sandbox.world.set_notifications(NotificationSettings { duplicate_percent: 100.0, ..before.clone() });
        sandbox.world.faults.add(Fault::at(Vendor::Genesys, "inbound/open/message").throttled("0.2"));
        let first = sandbox.world.write_message(&chat, NewMessage::text(guest(), "one")).unwrap();
        sandbox.world.write_message(&chat, NewMessage::text(Sender::System, "joined")).unwrap();
        sandbox.world.write_message(&chat, NewMessage::text(guest(), "two")).unwrap();
        until(|| (texts(sandbox, &chat).len() == 2).then_some(())).await;
        sandbox.world.change_message(&chat, &first, &Edit::Content("<p>uno</p>".into())).unwrap();
        until(|| (texts(sandbox, &chat).len() == 3).then_some(())).await;
        sandbox.world.change_message(&chat, &first, &Edit::Deletion).unwrap();
        let all = until(|| Some(texts(sandbox, &chat)).filter(|texts| texts.len() == 4)).await;
        assert_eq!(all[..3], ["one", "two", "[edited]\nuno"]);
        assert!(all[3].starts_with("[deleted: the message of "), "{}", all[3]);
        sandbox.world.set_notifications(before);
    });
}
