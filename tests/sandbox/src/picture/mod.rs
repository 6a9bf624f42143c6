//! The picture on the repository's main page: the agent's page after one click, and the text message on the customer's
//! phone. Every word in it is the shipped script's, the deployed bridge's or the text message's.
//!
//! What the bridge answered lies in the picture's metadata, so that a test can draw it again and see whether the script
//! has changed since.

mod canvas;

use std::path::Path;
use std::sync::Arc;

use data_action_runner::Engine;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Trouble;
use crate::data_actions::DataActions;
use crate::sandbox::Sandbox;
use crate::script::{AgentScript, Shown};
use crate::stand_ins::AGENT;
use canvas::{Canvas, Ink};

/// The button that is pressed, which the script is named after.
const BUTTON: &str = "Escalate to Teams";

/// The customer: a number that is reserved for stories, and in no other story of the sandbox.
const CUSTOMER: &str = "+447700900456";

const NUMBER: &str = "scripter.customersFormattedNumber";

/// The fields of the answer that the script keeps.
const FIELDS: [&str; 6] = ["message", "code", "requestId", "joinUrl", "meetingId", "startTime"];

/// The outcome of one click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Click {
    /// The number of the caller.
    customer: String,
    /// The answer of the data action.
    answer: Value,
    /// The sender of the text message.
    sender: String,
    /// The text of the message.
    text: String,
}

/// Clicks once in the sandbox, and writes the picture.
///
/// # Errors
/// The click did not come to a meeting and a text message, or the file cannot be written.
pub async fn take(sandbox: &Sandbox, engine: Arc<Engine>, file: &Path) -> Result<(), Trouble> {
    let conversation = uuid::Uuid::new_v4().to_string();
    let built_in = [
        ("scripter.agentEmail", AGENT),
        ("scripter.agentName", "Kim"),
        (NUMBER, CUSTOMER),
        ("scripter.interactionId", &conversation),
    ];
    let script = AgentScript::read()?;
    let actions = DataActions::import(engine, &sandbox.integration())?;
    let execution = actions.execute(BUTTON, &script.input(BUTTON, &built_in)?).await?;
    let answer = execution.outcome.map_err(|failure| Trouble(format!("The click failed: {}", failure.user_message)))?;
    let sent = sandbox.world.texts_to(CUSTOMER).pop();
    let sent = sent.ok_or_else(|| Trouble(format!("The click sent no text message: {}", answer["message"])))?;
    let kept = FIELDS.iter().map(|name| ((*name).to_owned(), answer[*name].clone())).collect();
    let click = Click { customer: CUSTOMER.into(), answer: Value::Object(kept), sender: sent.from, text: sent.text };
    let drawn = draw(&script, &click)?;
    std::fs::write(file, drawn).map_err(|error| Trouble(format!("{} cannot be written: {error}", file.display())))
}

fn draw(script: &AgentScript, click: &Click) -> Result<String, Trouble> {
    let page = script.page(BUTTON, &[(NUMBER, &click.customer)], &click.answer)?;
    let metadata = serde_json::to_string(click).map_err(|error| Trouble(format!("The click is no JSON: {error}")))?;
    let mut canvas = Canvas::new(900.0);
    let agent = canvas.window(20.0, 20.0, 540.0, BUTTON, |canvas, column| {
        for shown in &page {
            match shown {
                Shown::Text { content, size, bold } => {
                    let ink = match content {
                        link if link.starts_with("https://") => Ink::Link,
                        _ if *size < 10 => Ink::Faint,
                        _ => Ink::Plain,
                    };
                    canvas.text(column, content, f64::from(*size) * POINT, *bold, ink);
                }
                Shown::Button(label) => canvas.button(column, label),
                Shown::Entry(placeholder) => canvas.field(column, placeholder),
                Shown::Date => canvas.date(column),
            }
        }
    });
    let phone = canvas.phone(600.0, 20.0, 280.0, &click.sender, &click.text);
    Ok(canvas.finish(agent.max(phone) + 20.0, &metadata))
}

/// Pixels of the picture in a point of the script.
const POINT: f64 = 1.3;

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the main page has it.
    const PICTURE: &str = "docs/pictures/escalation.svg";

    #[test]
    fn the_committed_picture_is_what_the_shipped_script_shows_of_its_click() {
        let committed = std::fs::read_to_string(checkout::root().join(PICTURE)).unwrap();
        let metadata = committed.split_once("<metadata>").unwrap().1.split_once("</metadata>").unwrap().0;
        let click: Click = serde_json::from_str(&canvas::unescaped(metadata)).unwrap();
        let drawn = draw(&AgentScript::read().unwrap(), &click).unwrap();
        assert_eq!(drawn, committed, "draw it again: cargo sandbox --once --picture {PICTURE}");
        assert_eq!(click.answer["code"], "created");
        assert!(click.text.contains(click.answer["joinUrl"].as_str().unwrap()));
    }

    #[test]
    fn every_word_that_is_shown_is_drawn_and_no_other() {
        let script = AgentScript::read().unwrap();
        let answer = serde_json::json!({
            "message": "A <b> & \"c\".", "code": "created", "requestId": "r-1", "meetingId": "m-1",
            "startTime": "2026-12-05T02:00:00Z", "joinUrl": "https://teams.invalid/l/meetup-join/19%3ameeting_abc%40thread.v2/0",
        });
        let click = Click {
            customer: "+44".into(),
            answer,
            sender: "+1".into(),
            text: "Kim calls: https://teams.invalid/l/0\nReply STOP".into(),
        };
        let drawn = draw(&script, &click).unwrap();
        let body = drawn.split_once("</metadata>").unwrap().1;
        let words: String = body.split("<text").skip(1).map(|rest| rest.split(['>', '<']).nth(1).unwrap()).collect();
        let squeezed = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let mut expected = squeezed(BUTTON);
        for shown in script.page(BUTTON, &[(NUMBER, "+44")], &click.answer).unwrap() {
            match shown {
                Shown::Text { content: words, .. } | Shown::Button(words) | Shown::Entry(words) => {
                    expected.push_str(&squeezed(&words));
                }
                Shown::Date => {}
            }
        }
        expected.push_str(&squeezed(&(click.sender + &click.text)));
        assert_eq!(squeezed(&canvas::unescaped(&words)), expected);
    }
}
