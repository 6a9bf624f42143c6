use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::Environment;
use crate::fields::{ConversationId, Fields};
use crate::genesys::{AgentlessMessage, AgentlessReceipt};
use crate::remote::context;
use crate::store::{MemoryRecords, RecordKey, StoreError};

/// Genesys Cloud, which does what the script says and takes everything after that.
#[derive(Default)]
struct Genesys {
    script: Mutex<VecDeque<Result<AgentlessReceipt, GenesysError>>>,
    takes: Duration,
    sent: AtomicUsize,
}

impl Genesys {
    fn answering(script: impl IntoIterator<Item = Result<AgentlessReceipt, GenesysError>>) -> Self {
        Self { script: Mutex::new(script.into_iter().collect()), ..Self::default() }
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }
}

fn receipt() -> AgentlessReceipt {
    AgentlessReceipt { id: "m-1".into(), conversation_id: "gc-1".into() }
}

impl AgentlessMessages for Genesys {
    async fn send_agentless_message(
        &self,
        _cx: &RequestContext,
        _message: &AgentlessMessage,
    ) -> Result<AgentlessReceipt, GenesysError> {
        let next = self.script.lock().unwrap().pop_front().unwrap_or_else(|| Ok(receipt()));
        if matches!(next, Ok(_) | Err(GenesysError::Ambiguous(_))) {
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
        tokio::time::sleep(self.takes).await;
        next
    }
}

async fn send(
    genesys: &impl AgentlessMessages,
    records: &impl Records,
    cx: &RequestContext,
    message: &SmsMessage,
) -> Result<Sent, Error> {
    SmsSender { genesys, records }.send(cx, message).await
}

fn settings() -> SmsSettings {
    SmsSettings::read(&mut Environment::of([("SMS_FROM", "+13175550100"), ("SMS_COUNTRY", "GB")])).unwrap()
}

fn order(json: serde_json::Value) -> Result<SmsMessage, Error> {
    let mut fields = Fields::parse(json.to_string().as_bytes()).unwrap();
    let conversation = fields.parsed::<ConversationId>("conversationId");
    let order = SmsOrder::read(&mut fields, &settings(), LinkFrom::Request);
    fields.finish(order)?.compose(&settings(), conversation.as_ref(), None)
}

fn message(resend: bool) -> SmsMessage {
    let json = json!({"toAddress": "07700 900123", "textBody": "Hello", "conversationId": "c-1", "resend": resend});
    order(json).unwrap()
}

fn refused(status: u16) -> GenesysError {
    GenesysError::Rejected { status, code: "bad.request".into(), fields: Vec::new(), text: String::new() }
}

#[tokio::test]
async fn a_message_is_sent_once_and_the_second_request_learns_of_the_first() {
    let (genesys, records) = (Genesys::default(), MemoryRecords::default());
    let first = send(&genesys, &records, &context(10), &message(false)).await.unwrap();
    let second = send(&genesys, &records, &context(10), &message(false)).await.unwrap();
    assert_eq!((first.code(), second.code()), (Code::ACCEPTED, Code::DUPLICATE));
    assert_eq!(first.receipt, second.receipt);
    assert_eq!(genesys.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_loser_of_two_clicks_waits_and_answers_the_winner_s_result() {
    let genesys = Genesys { takes: Duration::from_secs(2), ..Genesys::default() };
    let records = MemoryRecords::default();
    let contexts: Vec<_> = (0..5).map(|_| context(20)).collect();
    let message = message(false);
    let results = join_all(contexts.iter().map(|cx| send(&genesys, &records, cx, &message))).await;
    let codes: Vec<_> = results.iter().map(|result| result.as_ref().unwrap().code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == Code::ACCEPTED).count(), 1);
    assert_eq!(codes.iter().filter(|code| **code == Code::DUPLICATE).count(), 4);
    assert_eq!(genesys.sent(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_loser_without_time_says_so_and_may_ask_again() {
    let genesys = Genesys { takes: Duration::from_secs(9), ..Genesys::default() };
    let records = MemoryRecords::default();
    let (winner, loser) = (context(20), context(3));
    let message = message(false);
    let (won, lost) =
        tokio::join!(send(&genesys, &records, &winner, &message), send(&genesys, &records, &loser, &message));
    assert_eq!(won.unwrap().code(), Code::ACCEPTED);
    let lost = lost.unwrap_err();
    assert_eq!((lost.code, lost.code.retryable()), (Code::IN_PROGRESS, true));
}

#[tokio::test(start_paused = true)]
async fn when_the_winner_is_refused_the_loser_tries_in_its_place() {
    let genesys = Genesys { takes: Duration::from_secs(1), ..Genesys::answering([Err(refused(400))]) };
    let records = MemoryRecords::default();
    let (one, two) = (context(20), context(20));
    let message = message(false);
    let (won, lost) = tokio::join!(send(&genesys, &records, &one, &message), send(&genesys, &records, &two, &message));
    assert_eq!(won.unwrap_err().code, Code::GENESYS_REJECTED);
    assert_eq!(lost.unwrap().code(), Code::ACCEPTED);
}

#[tokio::test]
async fn a_definite_refusal_leaves_the_way_free() {
    for refusal in [
        refused(400),
        GenesysError::PermissionMissing { permission: "p".into(), status: 403, code: String::new() },
        refused(404),
        GenesysError::Throttled { retry_after: None, code: String::new() },
        GenesysError::NotSent("connection refused".into()),
    ] {
        let (genesys, records) = (Genesys::answering([Err(refusal)]), MemoryRecords::default());
        assert!(send(&genesys, &records, &context(10), &message(false)).await.is_err());
        let second = send(&genesys, &records, &context(10), &message(false)).await.unwrap();
        assert_eq!((second.code(), genesys.sent()), (Code::ACCEPTED, 1));
    }
}

#[tokio::test]
async fn an_ambiguous_end_stays_unknown_until_a_person_asks_to_resend() {
    let genesys = Genesys::answering([Err(GenesysError::Ambiguous("time-out".into()))]);
    let records = MemoryRecords::default();
    for _ in 0..3 {
        let error = send(&genesys, &records, &context(10), &message(false)).await.unwrap_err();
        assert_eq!((error.code, error.code.retryable()), (Code::OUTCOME_UNKNOWN, false));
    }
    assert_eq!(genesys.sent(), 1);
    assert_eq!(send(&genesys, &records, &context(10), &message(true)).await.unwrap().code(), Code::ACCEPTED);
    assert_eq!(send(&genesys, &records, &context(10), &message(false)).await.unwrap().code(), Code::DUPLICATE);
    assert_eq!(genesys.sent(), 2);
}

#[tokio::test]
async fn a_process_that_died_while_sending_leaves_an_unknown_outcome() {
    let (genesys, records) = (Genesys::default(), MemoryRecords::default());
    let (key, now) = (message(false).record_key(), Timestamp::now());
    let died = Claim { owner: "dead".into(), resend: false, deadline: now - Duration::from_secs(1) };
    records.claim(&context(10), &key, &died, now - Duration::from_secs(30)).await.unwrap();
    let error = send(&genesys, &records, &context(10), &message(false)).await.unwrap_err();
    assert_eq!((error.code, genesys.sent()), (Code::OUTCOME_UNKNOWN, 0));
    assert_eq!(send(&genesys, &records, &context(10), &message(true)).await.unwrap().code(), Code::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn a_resend_that_meets_a_request_at_work_takes_its_result() {
    let genesys = Genesys { takes: Duration::from_secs(2), ..Genesys::default() };
    let records = MemoryRecords::default();
    let (one, two) = (context(20), context(20));
    let (first, again) = (message(false), message(true));
    let (won, lost) = tokio::join!(send(&genesys, &records, &one, &first), send(&genesys, &records, &two, &again));
    assert_eq!(won.unwrap().code(), Code::ACCEPTED);
    assert_eq!(lost.unwrap().code(), Code::DUPLICATE);
    let (one, two) = (context(20), context(20));
    let (a, b) = tokio::join!(send(&genesys, &records, &one, &again), send(&genesys, &records, &two, &again));
    assert_eq!((a.unwrap().code(), b.unwrap().code()), (Code::ACCEPTED, Code::DUPLICATE));
    assert_eq!(genesys.sent(), 2);
}

struct BrokenRecords;

impl Records for BrokenRecords {
    async fn claim(&self, _: &RequestContext, _: &RecordKey, _: &Claim, _: Timestamp) -> Result<Claimed, StoreError> {
        Err(StoreError("down".into()))
    }

    async fn settle(&self, _: &RequestContext, _: &RecordKey, _: &str, _: &RecordState) -> Result<(), StoreError> {
        Err(StoreError("down".into()))
    }

    async fn release(&self, _: &RequestContext, _: &RecordKey, _: &str) -> Result<(), StoreError> {
        Err(StoreError("down".into()))
    }
}

#[tokio::test]
async fn without_the_table_nothing_is_sent() {
    let genesys = Genesys::default();
    let error = send(&genesys, &BrokenRecords, &context(10), &message(false)).await.unwrap_err();
    assert_eq!((error.code, genesys.sent()), (Code::STATE_UNAVAILABLE, 0));
}

/// Records whose first answers get lost, each after the write.
#[derive(Default)]
struct LosingAnswers {
    records: MemoryRecords,
    lost: AtomicUsize,
}

impl LosingAnswers {
    fn of(lost: usize) -> Self {
        Self { lost: AtomicUsize::new(lost), ..Self::default() }
    }

    fn lose<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        let loses = self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if loses { Err(StoreError("no answer in time".into())) } else { answer }
    }
}

impl Records for LosingAnswers {
    async fn claim(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        self.lose(self.records.claim(cx, key, claim, now).await)
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        owner: &str,
        state: &RecordState,
    ) -> Result<(), StoreError> {
        self.lose(self.records.settle(cx, key, owner, state).await)
    }

    async fn release(&self, cx: &RequestContext, key: &RecordKey, owner: &str) -> Result<(), StoreError> {
        self.lose(self.records.release(cx, key, owner).await)
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_was_lost_leaves_the_way_free() {
    for lost in 1..=3 {
        let (genesys, records) = (Genesys::default(), LosingAnswers::of(lost));
        let error = send(&genesys, &records, &context(20), &message(false)).await.unwrap_err();
        assert_eq!((error.code, genesys.sent()), (Code::STATE_UNAVAILABLE, 0));
        let second = send(&genesys, &records, &context(20), &message(false)).await;
        assert_eq!(second.unwrap().code(), Code::ACCEPTED, "{lost} lost");
    }
}

/// Records of which the first writes after a claim do not arrive.
#[derive(Default)]
struct LosingWrites {
    records: MemoryRecords,
    lost: AtomicUsize,
}

impl Records for LosingWrites {
    async fn claim(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        self.records.claim(cx, key, claim, now).await
    }

    async fn settle(
        &self,
        cx: &RequestContext,
        key: &RecordKey,
        owner: &str,
        state: &RecordState,
    ) -> Result<(), StoreError> {
        match self.lost.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(StoreError("down".into())),
            _ => self.records.settle(cx, key, owner, state).await,
        }
    }

    async fn release(&self, cx: &RequestContext, key: &RecordKey, owner: &str) -> Result<(), StoreError> {
        match self.lost.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(StoreError("down".into())),
            _ => self.records.release(cx, key, owner).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn how_it_ended_is_written_patiently() {
    let (genesys, records) = (Genesys::default(), LosingWrites::default());
    send(&genesys, &records, &context(20), &message(false)).await.unwrap();
    let second = send(&genesys, &records, &context(20), &message(false)).await.unwrap();
    assert_eq!((second.code(), genesys.sent()), (Code::DUPLICATE, 1));

    let (genesys, records) = (Genesys::answering([Err(refused(400))]), LosingWrites::default());
    send(&genesys, &records, &context(20), &message(false)).await.unwrap_err();
    let second = send(&genesys, &records, &context(20), &message(false)).await.unwrap();
    assert_eq!((second.code(), genesys.sent()), (Code::ACCEPTED, 1));
}

/// A message of one conversation and recipient.
fn saying(more: serde_json::Value) -> SmsMessage {
    let mut json = json!({"toAddress": "+447700900123", "conversationId": "c-1"});
    json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order(json).unwrap()
}

#[tokio::test]
async fn a_duplicate_that_leads_elsewhere_is_told_by_its_link_alone() {
    const LINK: &str = "https://teams.microsoft.com/l/1";
    let first = json!({"joinUrl": LINK, "agentName": "Kim"});
    let (genesys, records) = (Genesys::default(), MemoryRecords::default());
    send(&genesys, &records, &context(10), &saying(first)).await.unwrap();
    for (second, code) in [
        (json!({"joinUrl": LINK, "agentName": "Kim"}), Code::DUPLICATE),
        (json!({"joinUrl": LINK, "agentName": "Alex"}), Code::DUPLICATE),
        (json!({"joinUrl": LINK, "textBody": "Hello"}), Code::DUPLICATE),
        (json!({"textBody": format!("Join us at {LINK}.")}), Code::DUPLICATE),
        (json!({"textBody": "Hello"}), Code::DUPLICATE),
        (json!({"joinUrl": "https://teams.microsoft.com/l/2", "agentName": "Kim"}), Code::OTHER_LINK),
        (json!({"textBody": "Join us at https://teams.microsoft.com/l/2"}), Code::OTHER_LINK),
    ] {
        let sent = send(&genesys, &records, &context(10), &saying(second.clone())).await.unwrap();
        assert_eq!((sent.code(), genesys.sent()), (code, 1), "{second}");
    }
    // Once a person has sent the other link, that is the one that the recipient has.
    let other = |resend| saying(json!({"joinUrl": "https://teams.microsoft.com/l/2", "resend": resend}));
    assert_eq!(send(&genesys, &records, &context(10), &other(true)).await.unwrap().code(), Code::ACCEPTED);
    assert_eq!(send(&genesys, &records, &context(10), &other(false)).await.unwrap().code(), Code::DUPLICATE);
}

proptest! {
    /// Whatever Genesys Cloud does, and however often the agent clicks: without `resend` at most one message leaves.
    #[test]
    fn at_most_one_message_leaves(script in proptest::collection::vec(0_u8..5, 0..8), clicks in 1_usize..8) {
        let script = script.into_iter().map(|kind| match kind {
            0 => Ok(receipt()),
            1 => Err(GenesysError::Ambiguous("reset".into())),
            2 => Err(GenesysError::Throttled { retry_after: None, code: String::new() }),
            3 => Err(GenesysError::NotSent("refused".into())),
            _ => Err(refused(400)),
        });
        let (genesys, records) = (Genesys::answering(script), MemoryRecords::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            for _ in 0..clicks {
                let _ = send(&genesys, &records, &context(10), &message(false)).await;
            }
        });
        prop_assert!(genesys.sent() <= 1);
    }
}

#[test]
fn two_messages_are_one_by_conversation_and_recipient_or_else_by_recipient_and_text() {
    let key = |json| order(json).unwrap().record_key();
    let base = key(json!({"toAddress": "+447700900123", "textBody": "a", "conversationId": "c"}));
    assert_eq!(base, key(json!({"toAddress": "tel:+44 7700 900123", "textBody": "b", "conversationId": "c"})));
    assert_ne!(base, key(json!({"toAddress": "+447700900124", "textBody": "a", "conversationId": "c"})));
    assert_ne!(base, key(json!({"toAddress": "+447700900123", "textBody": "a", "conversationId": "d"})));
    let alone = key(json!({"toAddress": "+447700900123", "textBody": "a"}));
    assert_eq!(alone, key(json!({"toAddress": "07700 900123", "textBody": "a"})));
    assert_ne!(alone, key(json!({"toAddress": "+447700900123", "textBody": "b"})));
}

/// A text of which nothing can be seen, or that nobody has filled in, is no text: the template's stands in, or nothing
/// is sent.
#[test]
fn no_message_is_blank_and_none_shows_a_variable_s_name() {
    let link = "https://teams.microsoft.com/l/meetup-join/x";
    for text in [
        "",
        "  ",
        "\u{200b}",
        "\u{feff}",
        "\u{2060}",
        "\0",
        "\u{a0}\u{200b}\n",
        "\u{2800}",
        "\u{3164}",
        "\u{202a}\u{202c}",
        "${input.textBody}",
        "Hi $!{input.name}, {link}",
        "{{Scripter.Text}}",
        "undefined",
        "null",
    ] {
        let alone = order(json!({"toAddress": "+447700900123", "textBody": text}));
        assert_eq!(alone.unwrap_err().code, Code::INVALID_FIELD, "{text:?}");
        let json = json!({
            "toAddress": "+447700900123", "joinUrl": link, "textBody": text, "agentName": text, "language": text,
            "fromAddress": text, "toAddressMessengerType": text,
        });
        let message = order(json).unwrap().agentless();
        assert_eq!(message.text_body, Template::built_in(false).render(None, link, None, None), "{text:?}");
        assert_eq!((message.from_address.as_str(), message.to_address_messenger_type), ("+13175550100", "sms"));
    }
}

#[test]
fn a_number_that_is_none_is_told_with_what_to_do() {
    let told = |to: &str, country: &str| {
        let settings = match country {
            "" => SmsSettings::read(&mut Environment::of([("SMS_FROM", "+13175550100")])).unwrap(),
            _ => settings(),
        };
        let mut fields = Fields::parse(json!({"toAddress": to, "textBody": "a"}).to_string().as_bytes()).unwrap();
        let order = SmsOrder::read(&mut fields, &settings, LinkFrom::Request).unwrap();
        let error = order.compose(&settings, None, None).unwrap_err();
        assert_eq!(error.code, Code::RECIPIENT_INVALID, "{to}");
        error.message
    };
    for to in ["(479) 555-0100", "(212) 555-0100", "2012345678", "07700 900123"] {
        assert!(told(to, "").ends_with("National numbers are understood when SMS_COUNTRY is set."), "{to}");
    }
    insta::assert_snapshot!(
        ["+44 77OO 900123", "12345", "tel:7042;phone-context=example.com", "${input.toAddress}"]
            .map(|to| told(to, "GB"))
            .join("\n")
    );
}

#[test]
fn what_cannot_be_sent_is_told_before_anything_is_sent() {
    let long = "x".repeat(766);
    for (json, code) in [
        (json!({"toAddress": "anonymous", "textBody": "a"}), Code::RECIPIENT_INVALID),
        (json!({"toAddress": "+447700900123", "textBody": "a", "fromAddress": "Contoso"}), Code::SENDER_INVALID),
        (json!({"toAddress": "+447700900123", "textBody": long}), Code::TEXT_TOO_LONG),
        (
            json!({"toAddress": "447700900123", "textBody": "a", "toAddressMessengerType": "whatsapp"}),
            Code::MESSENGER_NOT_SUPPORTED,
        ),
        (json!({"toAddress": "+447700900123"}), Code::INVALID_FIELD),
        (json!({"toAddress": "+447700900123", "textBody": "  "}), Code::INVALID_FIELD),
        (json!({"toAddress": "+447700900123", "joinUrl": "javascript:alert(1)"}), Code::INVALID_FIELD),
        (json!({"toAddress": "+447700900123", "joinUrl": "https://undefined"}), Code::INVALID_FIELD),
        (json!({"toAddress": "+447700900123", "joinUrl": "https://"}), Code::INVALID_FIELD),
        (json!({"toAddress": "+447700900123", "joinUrl": "https://contoso.com/${input.id}"}), Code::INVALID_FIELD),
        (json!({"toAddress": "+447700900123", "textBody": "Join {link}"}), Code::INVALID_FIELD),
        (json!({"textBody": "a"}), Code::INVALID_FIELD),
        (
            json!({"toAddress": "null", "fromAddress": "b3f0", "textBody": "a", "toAddressMessengerType": "open"}),
            Code::RECIPIENT_INVALID,
        ),
    ] {
        assert_eq!(order(json.clone()).unwrap_err().code, code, "{json}");
    }
}

#[test]
fn the_published_blueprint_s_input_works_as_it_is() {
    let message = order(json!({
        "fromAddress": "+13175550100", "toAddress": "+447700900123", "toAddressMessengerType": "sms",
        "textBody": "https://teams.microsoft.com/l/meetup-join/x", "useExistingActiveConversation": false,
    }))
    .unwrap();
    insta::assert_json_snapshot!(message.agentless());
    let short_code = order(json!({"fromAddress": "24365", "toAddress": "+13175550100", "textBody": "a"})).unwrap();
    assert_eq!(short_code.agentless().from_address, "24365");
}

#[test]
fn an_open_messaging_user_gets_the_text_too() {
    let to = json!({"toAddress": "user-7", "fromAddress": "b3f0", "toAddressMessengerType": "open", "textBody": "a"});
    let message = order(to).unwrap().agentless();
    assert_eq!((message.to_address.as_str(), message.to_address_messenger_type), ("user-7", "open"));
}

#[test]
fn a_text_of_765_characters_is_sent_and_the_limit_is_a_setting() {
    let full = json!({"toAddress": "+447700900123", "textBody": "x".repeat(765)});
    assert_eq!(order(full).unwrap().segments(), 5);
    let mut env = Environment::of([("SMS_FROM", "+13175550100"), ("SMS_MAX_CHARACTERS", "1600")]);
    assert_eq!(SmsSettings::read(&mut env).unwrap().max_characters, 1600);
}

#[test]
fn a_brand_that_the_template_wants_must_be_set() {
    let mut env = Environment::of([("SMS_TEMPLATE", "{brand}: {link}")]);
    let settings = SmsSettings::read(&mut env);
    assert!(env.finish(settings).unwrap_err().to_string().contains("SMS_BRAND"));
}
