//! One escalation, told on the terminal: what the agent clicks, what the phone shows, and what a second click does.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Trouble;
use crate::genesys_event::GenesysEvent;
use crate::sandbox::{Answer, Sandbox};
use crate::stand_ins::{AGENT, AGENT_GENESYS_ID, AGENT_ID};

/// The customer of the story: a number that is reserved for stories.
const CUSTOMER: &str = "+447700900123";

/// Tells the story. Gives whether everything in it held.
///
/// # Errors
/// When no answer came, or the terminal is gone.
pub async fn tell(sandbox: &Sandbox, out: &mut impl Write) -> Result<bool, Trouble> {
    Teller { sandbox, out, held: true }.tell().await
}

struct Teller<'a, W> {
    sandbox: &'a Sandbox,
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

    async fn click(&mut self, token: &str, body: &str) -> Result<Answer, Trouble> {
        let answer = self.sandbox.post("/escalations", Some(token), body).await?;
        self.say(&format!("   HTTP {} after {} ms", answer.status, answer.took.as_millis()))?;
        for name in ["code", "message", "joinUrl", "organizer", "mode", "lobby", "smsStatus", "smsCode", "requestId"] {
            let value = answer.text(name);
            self.say(&format!("     {name:<10} {}", shortened(value)))?;
        }
        Ok(answer)
    }

    async fn tell(mut self) -> Result<bool, Trouble> {
        self.say("\n1. Genesys Cloud's customAuth action fetches a token from Entra ID for the bridge's audience.")?;
        let token = self.sandbox.caller_token().await?;
        let roles = roles_of(&token);
        let expected = ["Meetings.Create", "Sms.Send", "Presence.Write"];
        self.check(&format!("a token with the app roles {}", roles.join(", ")), roles == expected)?;

        self.say("\n2. Without a token nobody gets past API Gateway.")?;
        let refused = self.sandbox.post("/escalations", None, "{}").await?;
        self.check("HTTP 401", refused.status == 401)?;

        let conversation = uuid::Uuid::new_v4().to_string();
        let body = json!({
            "user": AGENT, "agentName": "Kim", "toAddress": format!("tel:{CUSTOMER}"), "conversationId": conversation,
        })
        .to_string();
        self.say("\n3. The agent clicks \"Escalate to Teams\".")?;
        self.say(&format!("   POST /escalations {body}"))?;
        let first = self.click(&token, &body).await?;
        self.check("a new meeting", first.ok() && first.text("code") == "created")?;
        self.check("its lobby is open for the caller", first.text("lobby") == "everyone")?;
        self.check("Genesys Cloud has the text message", first.text("smsStatus") == "accepted")?;

        self.say("\n4. The customer's phone shows")?;
        let texts = self.sandbox.world.texts_to(CUSTOMER);
        for text in &texts {
            self.say(&format!("   ┌─ {}", text.from))?;
            for line in text.text.lines() {
                self.say(&format!("   │ {line}"))?;
            }
            self.say("   └─")?;
        }
        let link = first.text("joinUrl");
        let shown = !link.is_empty() && texts.iter().any(|text| text.text.contains(link));
        self.check("one text message, with the link", texts.len() == 1 && shown)?;

        self.say("\n5. The agent is impatient and clicks again.")?;
        let second = self.click(&token, &body).await?;
        self.check("the same meeting", second.text("code") == "existing" && second.text("joinUrl") == link)?;
        self.check("no second text message", second.text("smsStatus") == "duplicate")?;
        let meetings = self.sandbox.world.online_meetings(&conversation);
        let count = self.sandbox.world.texts_to(CUSTOMER).len();
        self.check("Teams has one meeting and the phone one text message", (meetings, count) == (1, 1))?;

        self.say("\n6. The agent goes on queue. A workflow tells the bridge by one call.")?;
        let answer = self.presence(&token, "ON_QUEUE").await?;
        self.check(
            "set, and not for longer than it lasts",
            answer.text("code") == "updated" && !answer.text("expiresAt").is_empty(),
        )?;
        self.shows("Busy", Instant::now()).await?;

        self.say("\n7. The agent has a meal, and goes on queue again. Genesys Cloud tells Amazon EventBridge.")?;
        for (presence, shown) in [("MEAL", "Away"), ("ON_QUEUE", "Busy")] {
            let event = GenesysEvent::presence(AGENT_GENESYS_ID, presence, &Timestamp::now().to_string());
            self.say(&format!("   {} with {presence}", event.detail_type))?;
            let started = Instant::now();
            self.sandbox.send_genesys_events(&[event]).await?;
            self.shows(shown, started).await?;
        }

        self.say("\n8. The agent logs off.")?;
        let answer = self.presence(&token, "Offline").await?;
        self.check("what the bridge had set is cleared", answer.text("code") == "cleared")?;
        self.shows("Available", Instant::now()).await?;
        Ok(self.held)
    }

    async fn presence(&mut self, token: &str, system_presence: &str) -> Result<Answer, Trouble> {
        let body = json!({"userId": AGENT_GENESYS_ID, "systemPresence": system_presence}).to_string();
        self.say(&format!("   POST /presence {body}"))?;
        let answer = self.sandbox.post("/presence", Some(token), body).await?;
        self.say(&format!("   HTTP {} after {} ms", answer.status, answer.took.as_millis()))?;
        for name in ["code", "message", "teamsUserId", "availability", "activity", "expiresAt"] {
            self.say(&format!("     {name:<12} {}", shortened(answer.text(name))))?;
        }
        Ok(answer)
    }

    /// Waits until Teams shows this of the agent.
    async fn shows(&mut self, availability: &str, since: Instant) -> Result<(), Trouble> {
        while self.sandbox.world.presence_of(AGENT_ID).0 != availability && since.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (shown, activity) = self.sandbox.world.presence_of(AGENT_ID);
        let what = format!("Teams shows {shown}/{activity} after {} ms", since.elapsed().as_millis());
        self.check(&what, shown == availability)
    }
}

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The app roles in a token. Whether its signature is good is for API Gateway to say, next.
fn roles_of(token: &str) -> Vec<String> {
    let claims = token.split('.').nth(1).and_then(|claims| BASE64_URL_SAFE_NO_PAD.decode(claims).ok());
    let claims: Value = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default();
    serde_json::from_value(claims["roles"].clone()).unwrap_or_default()
}

/// A long value, cut to fit a terminal.
fn shortened(value: &str) -> String {
    if value.chars().count() > 100 { value.chars().take(99).chain(['…']).collect() } else { value.to_owned() }
}
