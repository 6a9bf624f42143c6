//! The agent's script: one page with one button, and a second one for a text message that has to be sent again.
//!
//! The format has no way to say what happens when a data action fails, and it is not documented whether the steps after
//! it are then done. So the page is right either way. The message is set to what a failure means before the call, and an
//! answer overwrites it. The steps after the call end the waiting; where they are not done, the agent ends it with *Stop
//! waiting*, which asks the bridge nothing.

use serde_json::Value;

use super::page::{Visible, button, date_and_time, entry, text};
use super::{Action, Script, ScriptInput, Variable, call, open};
use crate::Trouble;
use crate::contract::Operation;

/// Stands for the id that the data action *Escalate to Teams* has in the org, `custom_-_` included, and is filled in by
/// Terraform's `substitutions`, which look for double braces. No variable can be meant: theirs are ids or have a dot.
pub const ACTION_ID: &str = "{{escalate_to_teams_action_id}}";

const NAME: &str = "Escalate to Teams";
const SEND_AGAIN: &str = "Send the text message again";
const STOP_WAITING: &str = "Stop waiting";
const OPEN_AGAIN: &str = "Open the meeting";

const NO_ANSWER: &str = "No answer from the bridge. Check the number and the date, if you have entered one, and press the \
                         button again; no customer gets a second text message. If it stays like this, tell your \
                         administrator the time of this call.";

const NO_ANSWER_AGAIN: &str = "No answer from the bridge. The text message may have been sent again or not: ask the \
                               customer before you press the button once more.";

const WHEN_TO_SEND_AGAIN: &str = "Only when the customer has no text message or has lost it, or when the bridge says so: \
                                  every press sends one more.";

/// The number that the agent has entered, or that of the call.
const CALLER: &str = "{{scripter.customersFormattedNumber}}";

/// The script around the data action of a route.
///
/// # Errors
/// When the route's fields are not those that the script sends and shows.
pub fn script(escalate: &Operation) -> Result<Script, Trouble> {
    let working = Variable::flag("working", "The bridge has been asked and has not answered.");
    let done = Variable::flag("done", "There is a message to show.");
    let linked = Variable::flag("linked", "There is a meeting to open.");
    let message = Variable::text("message", "What happened, in words.");
    let code = Variable::text("code", "What happened, in one word.").output();
    let request_id = Variable::text("requestId", "What finds the request in the bridge's log.");
    let join_url = Variable::text("joinUrl", "The meeting's link.").output();
    let meeting_id = Variable::text("meetingId", "Microsoft Graph's id of the meeting.").output();
    let opens = Variable::text("opens", "The link that is opened at once: that of a meeting that is now.");
    let starts = Variable::text("startTime", "When the meeting is, in UTC.");
    let number = Variable::text("number", "Another number to text than the call's.").input("");
    let recipient = Variable::text("recipient", "The number that is texted.");
    let date = Variable::text("date", "When the meeting shall be; empty is now.").input("");
    let time_zone =
        Variable::text("timeZone", "Zone of a date that comes without one: IANA or Windows name.").input("UTC");

    let ask = |no_answer: &str, resend: Option<ScriptInput>| -> Result<Vec<Value>, Trouble> {
        let mut inputs = vec![
            ("user", ScriptInput::Text("{{scripter.agentEmail}}")),
            ("agentName", ScriptInput::Text("{{scripter.agentName}}")),
            ("toAddress", ScriptInput::Value(recipient)),
            ("conversationId", ScriptInput::BuiltIn("scripter.interactionId")),
            ("startTime", ScriptInput::Value(date)),
            ("timeZone", ScriptInput::Value(time_zone)),
        ];
        inputs.extend(resend.map(|resend| ("resend", resend)));
        let outputs = [
            ("message", message),
            ("code", code),
            ("requestId", request_id),
            ("joinUrl", join_url),
            ("meetingId", meeting_id),
            ("startTime", starts),
        ];
        Ok(vec![
            working.set_flag(true),
            done.set_flag(false),
            linked.set_flag(false),
            message.set_text(no_answer),
            code.set_text(""),
            request_id.set_text(""),
            join_url.set_text(""),
            meeting_id.set_text(""),
            recipient.set_text(CALLER),
            number.unless_empty(&[recipient.set_text(&number.shown())]),
            call(escalate, ACTION_ID, &inputs, &outputs)?,
            working.set_flag(false),
            done.set_flag(true),
        ])
    };
    let mut first = ask(NO_ANSWER, None)?;
    first.extend([
        opens.set_text(""),
        join_url.unless_empty(&[linked.set_flag(true), opens.set_text(&join_url.shown())]),
        date.unless_empty(&[opens.set_text("")]),
        opens.unless_empty(&[open(opens)]),
    ]);
    let mut again = ask(NO_ANSWER_AGAIN, Some(ScriptInput::Flag(true)))?;
    // The agent is in the meeting already, as a rule.
    again.push(join_url.unless_empty(&[linked.set_flag(true)]));
    let actions = vec![
        Action { name: NAME, steps: first },
        Action { name: SEND_AGAIN, steps: again },
        Action { name: STOP_WAITING, steps: vec![working.set_flag(false), done.set_flag(true)] },
        Action { name: OPEN_AGAIN, steps: vec![open(join_url)] },
    ];

    let page = vec![
        text("Microsoft Teams meeting", 16, true, Visible::Always),
        text(&format!("Customer: {CALLER}"), 11, false, Visible::Always),
        entry(number, "Another mobile number, if the call's gets no text messages", working),
        text("For a meeting that is not now, choose its date and time:", 11, false, Visible::Always),
        date_and_time(date, working),
        button(NAME, NAME, Some(working), Visible::Always),
        text("Escalating. This takes a few seconds, half a minute at most.", 11, false, Visible::While(working)),
        button(STOP_WAITING, STOP_WAITING, None, Visible::While(working)),
        text(&message.shown(), 12, true, Visible::While(done)),
        text(&format!("Starts at {}", starts.shown()), 11, false, Visible::While(linked)),
        text(&join_url.shown(), 11, false, Visible::While(linked)),
        button(OPEN_AGAIN, OPEN_AGAIN, None, Visible::While(linked)),
        text(WHEN_TO_SEND_AGAIN, 11, false, Visible::While(linked)),
        button(SEND_AGAIN, SEND_AGAIN, Some(working), Visible::While(linked)),
        text(&format!("{} {}", code.shown(), request_id.shown()), 9, false, Visible::While(done)),
    ];
    Ok(Script {
        name: NAME,
        variables: vec![
            working, done, linked, message, code, request_id, join_url, meeting_id, opens, starts, number, recipient,
            date, time_zone,
        ],
        actions,
        page,
    })
}
