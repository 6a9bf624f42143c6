//! The bot's client against a Teams that checks its token and answers as Microsoft's table of status codes says.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::time::Duration;

use bridge::http::{Deadline, RequestContext};
use bridge::teams::{
    BotCorrections, BotMessage, BotMessages, BotTyping, ConversationAddress, MessageContent, PersonalChats,
    TeamsClient, TeamsError,
};
use end_to_end::InProcess;
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{AGENT_ID, BotScope, COLLEAGUE_ID, TENANT, Vendor};
use serde_json::json;

struct Scene {
    bundle: InProcess,
    client: TeamsClient,
}

fn context() -> RequestContext {
    RequestContext::new("test", Deadline::after(Duration::from_secs(20)))
}

impl Scene {
    async fn new() -> Self {
        let bundle = InProcess::start().await.unwrap();
        let client = bundle.teams().unwrap();
        Self { bundle, client }
    }

    fn fault(&self, fault: impl FnOnce(Fault) -> Fault) {
        self.bundle.stand_ins.world.faults.add(fault(Fault::at(Vendor::Teams, "")));
    }

    fn to<'a>(&'a self, conversation_id: &'a str) -> ConversationAddress<'a> {
        ConversationAddress { service_url: self.client.first_service_url(), conversation_id }
    }

    async fn send(&self, conversation: &str, text: &str) -> Result<String, TeamsError> {
        let sent = self.client.send(&context(), self.to(conversation), &BotMessage::plain(text)).await?;
        Ok(sent.id.unwrap_or_default())
    }

    fn texts(&self, conversation: &str) -> Vec<String> {
        self.bundle.stand_ins.world.bot_texts(conversation)
    }

    /// How often this vendor was called so far.
    fn calls(&self, vendor: Vendor) -> usize {
        self.bundle.stand_ins.world.calls().iter().filter(|call| call.vendor == vendor).count()
    }
}

#[tokio::test]
async fn a_conversation_from_its_first_word_to_a_correction() {
    let scene = Scene::new().await;
    let chat = scene.bundle.stand_ins.world.install_bot(AGENT_ID);
    let cx = context();
    let opened =
        scene.client.open_personal_chat(&cx, scene.client.first_service_url(), TENANT, AGENT_ID).await.unwrap();
    assert_eq!(opened.conversation_id, chat);
    assert_eq!(opened.service_url.as_str(), scene.bundle.stand_ins.world.bot_service_url());

    let to = ConversationAddress { service_url: &opened.service_url, conversation_id: &opened.conversation_id };
    assert_eq!(scene.client.show_typing(&cx, to).await, Ok(true));
    assert_eq!(scene.client.show_typing(&cx, to).await, Ok(false));
    let sent = scene.client.send(&cx, to, &BotMessage::plain("Hello")).await.unwrap();
    let id = sent.id.unwrap();
    let card = json!({"type": "AdaptiveCard", "version": "1.5", "body": []});
    let card = scene.client.reply(&cx, to, &id, &BotMessage::new(MessageContent::Card(card))).await.unwrap();
    scene.client.update(&cx, to, &id, &BotMessage::plain("Hello, Kim")).await.unwrap();
    let card = card.id.unwrap();
    for _ in 0..2 {
        // The second one is for a card that is gone already.
        scene.client.delete(&cx, to, &card).await.unwrap();
    }
    let gone = scene.client.update(&cx, to, &card, &BotMessage::plain("x")).await;
    assert_eq!(gone, Err(TeamsError::MessageGone));
    assert_eq!(scene.texts(&chat), ["Hello, Kim"]);
    let kept = scene.bundle.stand_ins.world.bot_chat(&chat).unwrap();
    assert_eq!((kept.typing_shown, kept.activities[1].reply_to.as_deref()), (1, Some(id.as_str())));
    assert_eq!(scene.calls(Vendor::Entra), 1, "one token for everything");
}

#[tokio::test]
async fn groups_and_threads_are_written_to_by_their_own_ids() {
    let scene = Scene::new().await;
    let world = &scene.bundle.stand_ins.world;
    let (group, channel) = (world.put_bot_chat(BotScope::GroupChat), world.put_bot_chat(BotScope::Channel));
    scene.send(&group, "to all").await.unwrap();
    let root = scene.send(&channel, "root").await.unwrap();
    let thread = format!("{channel};messageid={root}");
    scene.send(&thread, "in the thread").await.unwrap();
    assert_eq!((scene.texts(&group), scene.texts(&thread)), (vec!["to all".into()], vec!["in the thread".into()]));
}

#[tokio::test]
async fn each_state_of_a_conversation_is_told_apart() {
    let scene = Scene::new().await;
    let world = &scene.bundle.stand_ins.world;
    let unknown = scene.send("a:1unknown", "x").await.unwrap_err();
    assert!(matches!(unknown, TeamsError::ConversationNotFound { .. }) && !unknown.ends_reference());
    let open = async || {
        scene.client.open_personal_chat(&context(), scene.client.first_service_url(), TENANT, COLLEAGUE_ID).await
    };
    assert_eq!(open().await, Err(TeamsError::NotInstalled));
    let chat = world.install_bot(COLLEAGUE_ID);
    assert!(open().await.is_ok());
    world.set_bot_blocked(&chat, true);
    assert_eq!(scene.send(&chat, "x").await, Err(TeamsError::BlockedByUser));
    world.set_bot_disabled(COLLEAGUE_ID, true);
    assert_eq!(scene.send(&chat, "x").await, Err(TeamsError::DisabledByAdmin));
    world.set_bot_disabled(COLLEAGUE_ID, false);
    world.uninstall_bot(COLLEAGUE_ID);
    assert_eq!(scene.send(&chat, "x").await, Err(TeamsError::NotInConversation));
    world.install_bot(COLLEAGUE_ID);
    assert!(scene.send(&chat, "x").await.is_ok());
    world.set_bot_message_limit(28 * 1024);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let long = "a".repeat(bridge::teams::MOST_TEXT_BYTES);
    assert_eq!(scene.send(&chat, &long).await, Err(TeamsError::TooLarge { bytes: None }));
}

#[tokio::test]
async fn what_teams_may_have_taken_is_there_once() {
    let scene = Scene::new().await;
    let chat = scene.bundle.stand_ins.world.install_bot(AGENT_ID);
    for status in [408, 500, 502, 503, 504] {
        scene.fault(|fault| fault.after().status(status));
        let error = scene.send(&chat, &status.to_string()).await.unwrap_err();
        assert!(matches!(error, TeamsError::Ambiguous(_)), "{error}");
    }
    scene.fault(|fault| fault.after().reset());
    assert!(matches!(scene.send(&chat, "reset").await, Err(TeamsError::Ambiguous(_))));
    assert_eq!(scene.texts(&chat), ["408", "500", "502", "503", "504", "reset"]);
    assert_eq!(scene.calls(Vendor::Teams), 6);
}

#[tokio::test]
async fn what_teams_has_not_taken_arrives_once() {
    let scene = Scene::new().await;
    let chat = scene.bundle.stand_ins.world.install_bot(AGENT_ID);
    scene.fault(|fault| fault.refused(412, "PreconditionFailed"));
    scene.send(&chat, "after 412").await.unwrap();
    scene.fault(|fault| fault.throttled("0.5"));
    scene.send(&chat, "after 429").await.unwrap();
    // A token that was revoked: the next one is fetched, once.
    scene.bundle.stand_ins.world.expire_tokens();
    scene.send(&chat, "after 401").await.unwrap();
    assert_eq!(scene.texts(&chat), ["after 412", "after 429", "after 401"]);
    assert_eq!(scene.calls(Vendor::Entra), 2);
    scene.bundle.stand_ins.world.set_bot_registered(false);
    let error = scene.send(&chat, "x").await.unwrap_err();
    assert!(matches!(error, TeamsError::BotNotRegistered { .. }), "{error}");
}

#[tokio::test]
async fn refusals_that_no_state_brings_about_are_told_apart_too() {
    let scene = Scene::new().await;
    let chat = scene.bundle.stand_ins.world.install_bot(AGENT_ID);
    for (status, code, is_it) in [
        (403, "MessageWritesBlocked", (|error| error == TeamsError::BlockedByUser) as fn(TeamsError) -> bool),
        (403, "InvalidBotApiHost", |error| error == TeamsError::OtherHost),
        (403, "NotEnoughPermissions", |error| matches!(error, TeamsError::PermissionMissing { .. })),
        (403, "ServiceError", |error| matches!(error, TeamsError::Forbidden { .. })),
        (404, "BotNotInConversationRoster", |error| error == TeamsError::NotInConversation),
        (400, "BadSyntax", |error| matches!(error, TeamsError::Rejected { status: 400, .. })),
    ] {
        scene.fault(|fault| fault.refused(status, code));
        let error = scene.send(&chat, "x").await.unwrap_err();
        assert!(is_it(error.clone()), "{status} {code}: {error:?}");
    }
    assert!(scene.texts(&chat).is_empty());
}

#[tokio::test]
async fn a_burst_is_held_to_teams_pace_and_nothing_is_refused() {
    let scene = Scene::new().await;
    let chat = scene.bundle.stand_ins.world.install_bot(AGENT_ID);
    let expected: Vec<_> = (0..14).map(|number| number.to_string()).collect();
    for text in &expected {
        scene.send(&chat, text).await.unwrap();
    }
    assert_eq!(scene.texts(&chat), expected);
    assert_eq!(scene.calls(Vendor::Teams), 14, "none was answered 429");
}
