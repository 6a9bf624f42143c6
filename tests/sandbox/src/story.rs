//! One escalation, told on the terminal: the agent's click, the text on the phone, and a second click.
//! Every request is made by one of the data actions that are shipped, executed as Genesys Cloud does it.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_action_runner::{Engine, Failure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Trouble;
use crate::data_actions::DataActions;
use crate::genesys_event::GenesysEvent;
use crate::sandbox::Sandbox;
use crate::script::AgentScript;
use crate::stand_ins::{AGENT, AGENT_GENESYS_ID, AGENT_ID, CHAT, NewMessage, Sender};

/// The customer of the story: a number that is reserved for stories.
const CUSTOMER: &str = "+447700900123";

/// The person who writes into the chat.
const WRITER: &str = "Robin Müller";

/// The bytes of a small picture.
const PHOTO: &[u8] = b"\x89PNG\r\n\x1a\n a photo";

/// A name with characters that break what is not escaped.
const AGENT_NAME: &str = r#"Kim "Ace" $O'Neill 😀"#;

/// Tells the story. Returns whether everything in it held.
///
/// # Errors
/// When an action cannot be executed, or the terminal is gone.
pub async fn tell(sandbox: &Sandbox, engine: Arc<Engine>, out: &mut impl Write) -> Result<bool, Trouble> {
    Teller { sandbox, engine, out, held: true }.tell().await
}

struct Teller<'a, W> {
    sandbox: &'a Sandbox,
    engine: Arc<Engine>,
    out: &'a mut W,
    held: bool,
}

impl<W: Write> Teller<'_, W> {
    fn say(&mut self, text: &str) -> Result<(), Trouble> {
        let written: io::Result<()> = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
        written.map_err(|error| Trouble::from("The terminal is gone", error))
    }

    fn check(&mut self, what: &str, holds: bool) -> Result<(), Trouble> {
        self.held &= holds;
        self.say(&format!("   {} {what}", if holds { "✓" } else { "✗" }))
    }

    /// Executes an action, and shows what the script gets of these fields.
    async fn execute(
        &mut self,
        actions: &DataActions,
        name: &str,
        input: &Value,
        fields: &[&str],
    ) -> Result<Result<Value, Failure>, Trouble> {
        self.say(&format!("   {name} {input}"))?;
        let execution = actions.execute(name, input).await?;
        for token in execution.trace.shown("Token") {
            self.say(&format!("   token: {token}"))?;
        }
        match &execution.outcome {
            Ok(output) => {
                self.say(&format!("   Success after {} ms", execution.took.as_millis()))?;
                for field in fields {
                    self.say(&format!("     {field:<12} {}", shortened(text(output, field), 100)))?;
                }
            }
            Err(failure) => {
                self.say(&format!("   Failure after {} ms", execution.took.as_millis()))?;
                self.say(&format!("     errorCode    {}", failure.error_code))?;
                self.say(&format!("     userMessage  {}", failure.user_message))?;
                for shown in execution.trace.shown("Failed") {
                    self.say(&format!("     and in the test pane: {}", shortened(shown, 240)))?;
                }
            }
        }
        Ok(execution.outcome)
    }

    async fn tell(mut self) -> Result<bool, Trouble> {
        const ESCALATION: &[&str] =
            &["ok", "code", "message", "joinUrl", "organizer", "mode", "lobby", "smsStatus", "smsCode", "requestId"];
        let conversation = uuid::Uuid::new_v4().to_string();
        let script = AgentScript::read()?;
        let number = format!("tel:{CUSTOMER}");
        let built_in = [
            ("scripter.agentEmail", AGENT),
            ("scripter.agentName", AGENT_NAME),
            ("scripter.customersFormattedNumber", &number),
            ("scripter.interactionId", &conversation),
        ];
        let click = script.input("Escalate to Teams", &built_in)?;

        self.say("\n1. An administrator has imported the data actions, and mistyped the client secret.")?;
        let mut mistyped = self.sandbox.integration();
        mistyped.credentials.insert("client_secret".into(), "mistyped".into());
        let actions = DataActions::import(self.engine.clone(), &mistyped)?;
        let outcome = self.execute(&actions, "Escalate to Teams", &click, ESCALATION).await?;
        self.check("the failure path, and no meeting", outcome.is_err() && self.meetings(&conversation) == 0)?;

        self.say("\n2. With the right one the agent clicks \"Escalate to Teams\".")?;
        let actions = DataActions::import(self.engine.clone(), &self.sandbox.integration())?;
        let first = self.execute(&actions, "Escalate to Teams", &click, ESCALATION).await?.unwrap_or_default();
        self.check("a new meeting", first["ok"] == true && first["code"] == "created")?;
        self.check("its lobby is open for the caller", first["lobby"] == "everyone")?;
        self.check("Genesys Cloud has the text message", first["smsStatus"] == "accepted")?;

        self.say("\n3. The customer's phone shows")?;
        let texts = self.sandbox.world.texts_to(CUSTOMER);
        for text in &texts {
            self.say(&format!("   ┌─ {}", text.from))?;
            for line in text.text.lines() {
                self.say(&format!("   │ {line}"))?;
            }
            self.say("   └─")?;
        }
        let link = text(&first, "joinUrl");
        let shown = !link.is_empty() && texts.iter().all(|text| text.text.contains(link));
        self.check("one text message, with the link", texts.len() == 1 && shown)?;
        self.check("the agent's name as it is", texts.iter().all(|text| text.text.contains(AGENT_NAME)))?;

        self.say("\n4. The agent is impatient and clicks again.")?;
        let second = self.execute(&actions, "Escalate to Teams", &click, ESCALATION).await?.unwrap_or_default();
        self.check("the same meeting", second["code"] == "existing" && second["joinUrl"] == first["joinUrl"])?;
        self.check("no second text message", second["smsStatus"] == "duplicate")?;
        let count = self.sandbox.world.texts_to(CUSTOMER).len();
        let once = (self.meetings(&conversation), count) == (1, 1);
        self.check("Teams has one meeting and the phone one text message", once)?;
        self.say("   The customer has lost the message, and the agent sends it again.")?;
        let again = script.input("Send the text message again", &built_in)?;
        let again = self.execute(&actions, "Escalate to Teams", &again, ESCALATION).await?.unwrap_or_default();
        let texts = self.sandbox.world.texts_to(CUSTOMER);
        let sent =
            again["smsStatus"] == "accepted" && texts.len() == 2 && texts.iter().all(|it| it.text.contains(link));
        self.check("one more, with the same link", sent)?;

        self.say("\n5. The agent goes on queue. A workflow tells the bridge by one call.")?;
        let output = self.presence(&actions, "ON_QUEUE").await?;
        let bounded = output["code"] == "updated" && !text(&output, "expiresAt").is_empty();
        self.check("set, and not for longer than it lasts", bounded)?;
        self.shows("Busy", Instant::now()).await?;

        self.say("\n6. The agent has a meal, and goes on queue again. Genesys Cloud tells Amazon EventBridge.")?;
        for (presence, shown) in [("MEAL", "Away"), ("ON_QUEUE", "Busy")] {
            let event = GenesysEvent::presence(AGENT_GENESYS_ID, presence, &Timestamp::now().to_string());
            self.say(&format!("   {} with {presence}", event.detail_type))?;
            let started = Instant::now();
            self.sandbox.send_genesys_events(&[event]).await?;
            self.shows(shown, started).await?;
        }

        self.say("\n7. The agent logs off.")?;
        let output = self.presence(&actions, "Offline").await?;
        self.check("what the bridge had set is cleared", output["code"] == "cleared")?;
        self.shows("Available", Instant::now()).await?;

        self.chat().await?;
        Ok(self.held)
    }

    /// A chat in Teams, photo included, as the agent's conversation in Genesys Cloud.
    async fn chat(&mut self) -> Result<(), Trouble> {
        self.say("\n8. The bridge looks after its subscriptions to Microsoft Graph.")?;
        self.sandbox.look_after_subscriptions().await?;
        let world = self.sandbox.world.clone();
        self.check("Graph has called the webhook, and tells of chats and mail", world.subscriptions().len() == 2)?;

        self.say("\n9. A customer writes into a chat of the agent's in Teams, and sends a photo.")?;
        let photo = NewMessage::html(Sender::Guest(WRITER.into()), "<p>It looks like <b>this</b>:</p>");
        let started = Instant::now();
        world.write_message(CHAT, photo.image("image/png", PHOTO))?;
        let shown = loop {
            let conversations = world.conversations().into_iter();
            let message = conversations.filter(|it| it.from["id"] == CHAT).find_map(|mut it| it.messages.pop());
            if message.is_some() || started.elapsed() > EVENT_PATIENCE {
                break message;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let what =
            format!("the agent's conversation in Genesys Cloud has it after {} ms", started.elapsed().as_millis());
        self.check(&what, shown.is_some())?;
        if let Some(message) = shown {
            self.say(&format!("     {}", message.text.replace('\n', "\n     ")))?;
            let fetched = message.attachments.iter().any(|it| it.status == Some(200) && it.bytes == PHOTO.len());
            self.check("with the photo, fetched by a link that ends", fetched)?;
        }
        Ok(())
    }

    async fn presence(&mut self, actions: &DataActions, system_presence: &str) -> Result<Value, Trouble> {
        let input = json!({"userId": AGENT_GENESYS_ID, "systemPresence": system_presence});
        let fields = ["ok", "code", "message", "teamsUserId", "availability", "activity", "expiresAt"];
        Ok(self.execute(actions, "Update presence", &input, &fields).await?.unwrap_or_default())
    }

    fn meetings(&self, conversation: &str) -> usize {
        self.sandbox.world.online_meetings(conversation)
    }

    /// Waits until Teams shows this availability of the agent.
    async fn shows(&mut self, availability: &str, since: Instant) -> Result<(), Trouble> {
        while self.sandbox.world.presence_of(AGENT_ID).0 != availability && since.elapsed() < EVENT_PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (shown, activity) = self.sandbox.world.presence_of(AGENT_ID);
        let what = format!("Teams shows {shown}/{activity} after {} ms", since.elapsed().as_millis());
        self.check(&what, shown == availability)
    }
}

/// How long an event may take.
const EVENT_PATIENCE: Duration = Duration::from_secs(30);

/// A field as a script shows it.
fn text<'a>(output: &'a Value, field: &str) -> &'a str {
    match &output[field] {
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        value => value.as_str().unwrap_or_default(),
    }
}

/// A long value, cut to fit a terminal.
fn shortened(value: &str, most: usize) -> String {
    if value.chars().count() > most { value.chars().take(most - 1).chain(['…']).collect() } else { value.to_owned() }
}
