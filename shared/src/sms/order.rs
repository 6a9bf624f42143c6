//! A text-message order: what a request asks for, after its fields have been checked.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

use super::number::{CountryCode, NotAPhoneNumber, PhoneNumber};
use super::text::{Length, Template, measure, with_link};
use crate::config::Environment;
use crate::error::{Code, Error};
use crate::fields::{ConversationId, Fields};
use crate::genesys::{AgentlessMessage, AgentlessReceipt};
use crate::invisible::is_blank;
use crate::store::{Receipt, RecordKey, hash, kind};
use crate::unset::{has_reference, is_no_key};

/// The longest SMS that Genesys Cloud takes, in characters, unless the deployment says otherwise.
const SMS_MAX_CHARACTERS: usize = 765;

/// The longest text that Genesys Cloud takes for other messengers, in characters.
const OPEN_MAX_CHARACTERS: usize = 2000;

/// The deployment's settings for text messages.
#[derive(Debug, Clone)]
pub struct SmsSettings {
    /// The sender of requests that name none.
    pub from: Option<String>,
    /// The country whose national numbers are understood.
    pub country: Option<CountryCode>,
    /// The template of the text around the link.
    pub template: Template,
    /// The sender's name for the recipient.
    pub brand: Option<String>,
    /// The longest text, in characters.
    pub max_characters: usize,
}

impl SmsSettings {
    /// Reads `SMS_FROM`, `SMS_COUNTRY`, `SMS_TEMPLATE`, `SMS_BRAND` and `SMS_MAX_CHARACTERS`.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let from = env.optional("SMS_FROM");
        let country = env.optional("SMS_COUNTRY");
        let template = env.optional::<Template>("SMS_TEMPLATE");
        let brand = env.optional::<String>("SMS_BRAND");
        let max_characters = env.or("SMS_MAX_CHARACTERS", SMS_MAX_CHARACTERS);
        let (template, brand) = (template.unless_wrong()?, brand.unless_wrong()?);
        if brand.is_none() && template.as_ref().is_some_and(Template::wants_brand) {
            env.problem("SMS_BRAND is not set, and SMS_TEMPLATE uses {brand}");
        }
        Some(Self {
            from: from.unless_wrong()?,
            country: country.unless_wrong()?,
            template: template.unwrap_or_else(|| Template::built_in(brand.is_some())),
            brand,
            max_characters: max_characters?,
        })
    }
}

/// The source of the link in a text message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFrom {
    /// The request brings a text, or a link for the template.
    Request,
    /// The meeting that is made in the same request.
    Meeting,
}

/// A join URL from a request.
#[derive(Clone, PartialEq, Eq)]
struct JoinUrl(String);

impl FromStr for JoinUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A host of one word comes from `https://undefined`.
        let leads_somewhere = Url::parse(text).is_ok_and(|url| url.host_str().is_some_and(|host| host.contains('.')));
        if text.starts_with("https://") && leads_somewhere && !text.chars().any(is_blank) {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected a link that starts with https://")
        }
    }
}

/// A text message to send, as the request's fields give it. It holds a phone number, so its debug form shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsOrder {
    to: String,
    from: String,
    messenger: String,
    text: Option<String>,
    join_url: Option<JoinUrl>,
    language: Option<String>,
    agent: Option<String>,
    use_existing_active_conversation: bool,
    resend: bool,
}

impl fmt::Debug for SmsOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmsOrder([redacted])")
    }
}

impl SmsOrder {
    /// Reads `toAddress`, `fromAddress`, `toAddressMessengerType`, `textBody`, `language`, `agentName`,
    /// `useExistingActiveConversation` and `resend`, and `joinUrl` when the link comes from the request.
    pub fn read(fields: &mut Fields, settings: &SmsSettings, link: LinkFrom) -> Option<Self> {
        let to = fields.text("toAddress");
        let from = fields.optional_text("fromAddress");
        let messenger = fields.optional_text("toAddressMessengerType");
        let text = fields.optional_text("textBody");
        let join_url = if link == LinkFrom::Request { fields.parsed::<JoinUrl>("joinUrl") } else { None };
        let language = fields.optional_text("language");
        let agent = fields.optional_text("agentName");
        let use_existing_active_conversation = fields.flag("useExistingActiveConversation");
        let resend = fields.flag("resend");
        if to.is_none() && !fields.has_problem("toAddress") {
            fields.problem("toAddress", "required: the customer's number, such as +447700900123");
        }
        let from = from.or_else(|| settings.from.clone());
        if from.is_none() && !fields.has_problem("fromAddress") {
            fields.problem("fromAddress", "required, because the bridge has no SMS_FROM");
        }
        let nothing_to_say = link == LinkFrom::Request && text.is_none() && join_url.is_none();
        if nothing_to_say && !fields.has_problem("textBody") && !fields.has_problem("joinUrl") {
            let expected = "required, with every variable in it filled in, unless joinUrl is given for the template";
            fields.problem("textBody", expected);
        }
        let place_for_link = text.as_ref().is_some_and(|text| text.contains("{link}"));
        if link == LinkFrom::Request && place_for_link && join_url.is_none() && !fields.has_problem("joinUrl") {
            fields.problem("joinUrl", "required, because textBody has a place for it");
        }
        Some(Self {
            to: to?,
            from: from?,
            messenger: messenger.unwrap_or_else(|| "sms".into()),
            text,
            join_url,
            language,
            agent,
            use_existing_active_conversation,
            resend,
        })
    }

    /// The finished message: addresses in Genesys Cloud's form, and the text with the link in it. `meeting` is the join
    /// URL of the meeting that was made for it.
    ///
    /// # Errors
    /// `messengerNotSupported`, `recipientInvalid`, `senderInvalid`, `textTooLong`.
    pub fn compose(
        &self,
        settings: &SmsSettings,
        conversation: Option<&ConversationId>,
        meeting: Option<&str>,
    ) -> Result<SmsMessage, Error> {
        let (agent, brand) = (self.agent.as_deref(), settings.brand.as_deref());
        let link = meeting.or(self.join_url.as_ref().map(|url| url.0.as_str()));
        let text = match (&self.text, link) {
            (Some(text), Some(link)) => with_link(text, link, agent, brand),
            (Some(text), None) => text.clone(),
            (None, Some(link)) => settings.template.render(self.language.as_deref(), link, agent, brand),
            (None, None) => return Err(Error::new(Code::INTERNAL, "The text message has no text.")),
        };
        let (messenger, to, from, max_characters) = match self.messenger.to_ascii_lowercase().as_str() {
            "sms" => ("sms", self.recipient(settings)?, self.sender(settings)?, settings.max_characters),
            // The user id that the integration knows, and the integration's own id: there is nothing to parse.
            "open" => ("open", self.open_recipient()?, self.from.clone(), OPEN_MAX_CHARACTERS),
            other => {
                return Err(Error::new(
                    Code::MESSENGER_NOT_SUPPORTED,
                    format!(
                        "The bridge sends plain text, which Genesys Cloud takes for `sms` and `open`; `{}` needs a \
                         message template.",
                        other.chars().filter(|c| c.is_ascii_alphanumeric()).take(20).collect::<String>()
                    ),
                ));
            }
        };
        let length = measure(&text);
        if length.characters > max_characters {
            return Err(Error::new(
                Code::TEXT_TOO_LONG,
                format!(
                    "The text is {} characters long and Genesys Cloud sends at most {max_characters}. Shorten \
                     `textBody` or SMS_TEMPLATE.",
                    length.characters
                ),
            ));
        }
        Ok(SmsMessage {
            to,
            from,
            messenger,
            link: link.map(str::to_owned),
            text,
            length,
            conversation: conversation.map(|id| id.as_str().to_owned()),
            use_existing_active_conversation: self.use_existing_active_conversation,
            resend: self.resend,
        })
    }

    fn recipient(&self, settings: &SmsSettings) -> Result<String, Error> {
        let number = PhoneNumber::parse(&self.to, settings.country).map_err(|reason| {
            let country = match (settings.country, reason) {
                (None, NotAPhoneNumber::Incomplete | NotAPhoneNumber::Ambiguous) => {
                    " National numbers are understood when SMS_COUNTRY is set."
                }
                _ => "",
            };
            Error::new(Code::RECIPIENT_INVALID, format!("`toAddress` {reason}{country}"))
        })?;
        Ok(number.e164().to_owned())
    }

    fn open_recipient(&self) -> Result<String, Error> {
        // The next customer whose id is lost would be taken for the same one.
        if is_no_key(&self.to) || has_reference(&self.to) {
            let expected = "`toAddress` is what a variable without a value looks like; expected the id of a user that the \
                            Open Messaging integration knows.";
            return Err(Error::new(Code::RECIPIENT_INVALID, expected));
        }
        Ok(self.to.clone())
    }

    fn sender(&self, settings: &SmsSettings) -> Result<String, Error> {
        let is_short_code = (3..=8).contains(&self.from.len()) && self.from.bytes().all(|byte| byte.is_ascii_digit());
        if is_short_code {
            return Ok(self.from.clone());
        }
        PhoneNumber::parse(&self.from, settings.country).map(|number| number.e164().to_owned()).map_err(|_| {
            Error::new(
                Code::SENDER_INVALID,
                "`fromAddress`, or SMS_FROM, is no complete phone number; expected a number of the org such as \
                 +13175550100.",
            )
        })
    }
}

/// The first link in a text from a request.
fn first_link(text: &str) -> Option<&str> {
    let link = text.get(text.find("https://")?..)?.split_whitespace().next()?;
    Some(link.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '>', '"']))
}

/// A text message that is ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsMessage {
    /// The recipient: a number in E.164, or a user id for `open`.
    pub to: String,
    from: String,
    messenger: &'static str,
    text: String,
    /// The link that was put into the text; `None` where the request brought the whole text.
    link: Option<String>,
    length: Length,
    conversation: Option<String>,
    use_existing_active_conversation: bool,
    /// Whether a person asks to send it again.
    pub resend: bool,
}

impl fmt::Debug for SmsMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmsMessage").field("length", &self.length).finish_non_exhaustive()
    }
}

impl SmsMessage {
    /// The key that makes two messages one: conversation and recipient; without a conversation, recipient and text.
    #[must_use]
    pub(crate) fn record_key(&self) -> RecordKey {
        match &self.conversation {
            Some(conversation) => RecordKey::new(kind::SMS, &["conversation", conversation, &self.to]),
            None => RecordKey::new(kind::SMS, &["text", &self.to, &self.text]),
        }
    }

    /// The number of SMS segments.
    #[must_use]
    pub fn segments(&self) -> u32 {
        self.length.segments
    }

    pub(super) fn agentless(&self) -> AgentlessMessage {
        AgentlessMessage {
            from_address: self.from.clone(),
            to_address: self.to.clone(),
            to_address_messenger_type: self.messenger,
            text_body: self.text.clone(),
            use_existing_active_conversation: self.use_existing_active_conversation,
        }
    }

    pub(super) fn receipt(&self, receipt: &AgentlessReceipt) -> Receipt {
        Receipt {
            message_id: receipt.id.clone(),
            conversation_id: receipt.conversation_id.clone(),
            segments: self.length.segments,
            text_hash: self.text_hash(),
            link_hash: self.link_hash(),
        }
    }

    /// A hash that tells this text from another one with the same record.
    pub(super) fn text_hash(&self) -> String {
        hash(&[&self.text])
    }

    /// A hash of the link, which tells where the text leads; empty when it has no link.
    pub(super) fn link_hash(&self) -> String {
        self.link.as_deref().or_else(|| first_link(&self.text)).map(|link| hash(&[link])).unwrap_or_default()
    }
}
