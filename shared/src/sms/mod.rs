//! Sends a text message at most once.
//!
//! The record in the [`store`](crate::store) is written before Genesys Cloud is called. A definite refusal removes it.
//! When the outcome is not known it is kept as `unknown`, and only a person's `resend` sends the message again.

mod answer;
mod number;
mod order;
mod text;

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

pub use answer::SmsFields;
pub use number::{CountryCode, NotAPhoneNumber, PhoneNumber};
pub use order::{LinkFrom, SmsMessage, SmsOrder, SmsSettings};
pub use text::Template;

use crate::error::{Code, Error, when};
use crate::genesys::{AgentlessMessages, GenesysError};
use crate::http::RequestContext;
use crate::store::{Claim, Claimed, Receipt, RecordState, Records, StoreError, StoredRecord};

/// Pauses of a request that waits for an earlier one: short at first, because sending takes some hundred milliseconds.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Pauses before a record that the state table did not take is written again. It has been tried three times by then.
const WRITE_AGAIN: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Sends text messages, each at most once.
#[derive(Debug)]
pub struct SmsSender<'a, G, R> {
    /// The client of Genesys Cloud.
    pub genesys: &'a G,
    /// The records of sent messages, in the state table.
    pub records: &'a R,
}

/// A message that Genesys Cloud has taken, now or at an earlier request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Whether an earlier, equal request sent it.
    pub duplicate: bool,
    /// Whether that request's text had another link than this one's, or none.
    pub other_link: bool,
    /// Whether that request's text was different, where this one's has no link.
    pub other_text: bool,
    /// Genesys Cloud's receipt of the message.
    pub receipt: Receipt,
}

impl Sent {
    /// The code `accepted`, `duplicate`, or `otherLink` for a duplicate whose link leads elsewhere.
    #[must_use]
    pub fn code(&self) -> Code {
        match self.duplicate {
            false => Code::ACCEPTED,
            true if self.other_link => Code::OTHER_LINK,
            true => Code::DUPLICATE,
        }
    }

    /// The text for a person.
    #[must_use]
    pub fn message(&self) -> &'static str {
        if self.other_link {
            "The customer has been sent another link for this conversation, and would not come to this one; nothing was \
             sent now. Send it again (resend: true), so that the customer has this link too."
        } else if self.other_text {
            "An earlier text message of this conversation had been sent, with another text; nothing was sent now. To send \
             this one too, send it again (resend: true)."
        } else if self.duplicate {
            "This text message had been sent before; nothing was sent again."
        } else {
            "Genesys Cloud has taken the text message."
        }
    }
}

impl<G: AgentlessMessages, R: Records> SmsSender<'_, G, R> {
    /// Sends the message unless an equal one was, or may have been, sent before.
    ///
    /// # Errors
    /// The reason for which it was not sent. Only `outcomeUnknown` leaves open whether it was.
    pub async fn send(&self, cx: &RequestContext, message: &SmsMessage) -> Result<Sent, Error> {
        let Self { genesys, records } = *self;
        let key = message.record_key();
        let owner = Uuid::new_v4().to_string();
        let mut pause = FIRST_LOOK;
        let mut resend = message.resend;
        loop {
            let now = Timestamp::now();
            let claim = Claim {
                owner: owner.clone(),
                resend,
                deadline: now.checked_add(cx.deadline.until_end()).unwrap_or(Timestamp::MAX),
            };
            let held = match records.claim(cx, &key, &claim, now).await {
                Ok(Claimed::Granted) => break,
                Ok(Claimed::Held(held)) => held,
                Err(cause) => {
                    // The claim may have been written, and only its answer lost. Nothing was sent, so the next request
                    // must not find a claim that says otherwise.
                    write_down(cx, async || records.release(cx, &key, &owner).await).await;
                    return Err(state_unavailable().because(cause));
                }
            };
            if let Some(result) = settled(&held, message, now) {
                return result;
            }
            // The message that is being sent now is the one that the person asked for, so it is not sent again after
            // it.
            resend = false;
            // Another request is sending this very message. Wait for its outcome; if it is refused, try in its place.
            if pause > cx.deadline.for_a_call() {
                return Err(Error::new(
                    Code::IN_PROGRESS,
                    "An equal request is still sending this text message. Ask again in a few seconds.",
                ));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
        let result = genesys.send_agentless_message(cx, &message.agentless()).await;
        // If the outcome cannot be written, the record counts as abandoned: nothing is sent twice, but the outcome is
        // not known later.
        write_down(cx, async || match &result {
            Ok(receipt) => records.settle(cx, &key, &owner, &RecordState::Accepted(message.receipt(receipt))).await,
            Err(GenesysError::Ambiguous(_)) => records.settle(cx, &key, &owner, &RecordState::Unknown).await,
            Err(_) => records.release(cx, &key, &owner).await,
        })
        .await;
        match result {
            Ok(receipt) => {
                Ok(Sent { duplicate: false, other_link: false, other_text: false, receipt: message.receipt(&receipt) })
            }
            Err(error) => Err(explain(error)),
        }
    }
}

/// Writes the outcome, with retries. Without it, the next request has to report that the outcome is not known.
async fn write_down(cx: &RequestContext, write: impl AsyncFn() -> Result<(), StoreError>) {
    let mut pauses = WRITE_AGAIN.into_iter();
    while let Err(error) = write().await {
        match pauses.next().filter(|pause| *pause < cx.deadline.for_a_call()) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => {
                tracing::error!(%error, "the text message's record could not be completed");
                return;
            }
        }
    }
}

/// What another request's record tells of the message; `None` while its owner is at work.
fn settled(held: &StoredRecord, message: &SmsMessage, now: Timestamp) -> Option<Result<Sent, Error>> {
    match &held.state {
        RecordState::Accepted(receipt) => {
            let differs = receipt.text_hash != message.text_hash();
            // Another agent's name changes the text of the same invitation, so where there is a link, the link counts.
            let link = message.link_hash();
            let other_link = differs && !link.is_empty() && receipt.link_hash != link;
            let other_text = differs && link.is_empty();
            Some(Ok(Sent { duplicate: true, other_link, other_text, receipt: receipt.clone() }))
        }
        RecordState::Unknown => Some(Err(unknown())),
        RecordState::Sending if held.is_in_progress(now) => None,
        RecordState::Sending => Some(Err(unknown().because("the request that was sending it ended before it knew"))),
    }
}

fn unknown() -> Error {
    Error::new(
        Code::OUTCOME_UNKNOWN,
        "Nobody knows whether Genesys Cloud sent the text message: it did not answer. Ask the customer. If \
         nothing came, send it again (resend: true).",
    )
}

fn state_unavailable() -> Error {
    Error::new(
        Code::STATE_UNAVAILABLE,
        "The bridge's state table did not answer, so it could not make sure that the text message is sent only once. \
         Nothing was sent. Try again; if it lasts, check STATE_TABLE and the function's policy.",
    )
}

fn explain(error: GenesysError) -> Error {
    let cause = error.to_string();
    let told = |code, message: String| Error::new(code, message).because(&cause);
    match error {
        GenesysError::Ambiguous(cause) => unknown().because(cause),
        GenesysError::NotSent(_) => told(
            Code::GENESYS_UNAVAILABLE,
            "Genesys Cloud could not be reached; nothing was sent. Try again in a moment.".into(),
        ),
        GenesysError::Throttled { retry_after, .. } => {
            let wait = when(retry_after);
            told(
                Code::GENESYS_THROTTLED,
                format!("Genesys Cloud asks to slow down; nothing was sent. Send the same request again {wait}."),
            )
        }
        GenesysError::Rejected { .. } if error.is_about("toAddress") => {
            told(Code::RECIPIENT_INVALID, "Genesys Cloud does not take the recipient's number.".into())
        }
        GenesysError::Rejected { .. } if error.is_about("fromAddress") => told(
            Code::SENDER_INVALID,
            "Genesys Cloud does not take the sender's number. Use a number that is provisioned for SMS in the org, in \
             `fromAddress` or SMS_FROM."
                .into(),
        ),
        GenesysError::Rejected { status, code, text, .. } => {
            told(Code::GENESYS_REJECTED, format!("Genesys Cloud refused the text message ({status} {code})."))
                .quoting(text)
        }
        GenesysError::Auth(_) | GenesysError::PermissionMissing { .. } => error.into(),
    }
}

#[cfg(test)]
mod tests;
