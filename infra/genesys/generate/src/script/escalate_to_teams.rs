//! The agent's script: one page with one button.
//!
//! The format has no way to say what happens when a data action fails, and it is not documented whether the steps after
//! it are then done. So the page is right either way. The message is set to what a failure means before the call, and an
//! answer overwrites it. The steps after the call end the waiting; where they are not done, the agent ends it with *Stop
//! waiting*, which asks the bridge nothing.

use super::page::{Visible, button, text};
use super::{Action, Input, Script, Variable, call, open};
use crate::Trouble;
use crate::contract::Operation;

/// Stands for the id that the data action *Escalate to Teams* has in the org, `custom_-_` included, and is filled in by
/// Terraform's `substitutions`, which look for double braces. No variable can be meant: theirs are ids or have a dot.
pub const ACTION_ID: &str = "{{escalate_to_teams_action_id}}";

const NAME: &str = "Escalate to Teams";
const STOP_WAITING: &str = "Stop waiting";
const OPEN_AGAIN: &str = "Open the meeting";

const NO_ANSWER: &str = "No answer from the bridge. Press the button again; no customer gets a second text message. If \
                         it stays like this, tell your administrator the time of this call.";

/// The script around the data action of a route.
///
/// # Errors
/// When the route's fields are not those that the script sends and shows.
pub fn script(escalate: &Operation) -> Result<Script, Trouble> {
    let working = Variable::flag("working", "The bridge has been asked and has not answered.");
    let done = Variable::flag("done", "There is a message to show.");
    let linked = Variable::flag("linked", "There is a meeting to open.");
    let message = Variable::text("message", "What happened, in words.");
    let code = Variable::text("code", "What happened, in one word.");
    let request_id = Variable::text("requestId", "What finds the request in the bridge's log.");
    let join_url = Variable::text("joinUrl", "The meeting's link.");

    let ask = call(
        escalate,
        ACTION_ID,
        &[
            ("user", Input::Text("{{scripter.agentEmail}}")),
            ("toAddress", Input::Text("{{scripter.customersFormattedNumber}}")),
            ("conversationId", Input::BuiltIn("scripter.interactionId")),
        ],
        &[("message", message), ("code", code), ("requestId", request_id), ("joinUrl", join_url)],
    )?;
    let escalate = Action {
        name: NAME,
        steps: vec![
            working.set_flag(true),
            done.set_flag(false),
            linked.set_flag(false),
            message.set_text(NO_ANSWER),
            code.set_text(""),
            request_id.set_text(""),
            join_url.set_text(""),
            ask,
            working.set_flag(false),
            done.set_flag(true),
            join_url.unless_empty(&[linked.set_flag(true), open(join_url)]),
        ],
    };
    let stop_waiting = Action { name: STOP_WAITING, steps: vec![working.set_flag(false), done.set_flag(true)] };
    let open_again = Action { name: OPEN_AGAIN, steps: vec![open(join_url)] };

    let page = vec![
        text("Microsoft Teams meeting", 16, true, Visible::Always),
        text("Customer: {{scripter.customersFormattedNumber}}", 11, false, Visible::Always),
        button(NAME, NAME, Some(working), Visible::Always),
        text("Escalating. This takes a few seconds, half a minute at most.", 11, false, Visible::While(working)),
        button(STOP_WAITING, STOP_WAITING, None, Visible::While(working)),
        text(&message.shown(), 12, true, Visible::While(done)),
        text(&join_url.shown(), 11, false, Visible::While(linked)),
        button(OPEN_AGAIN, OPEN_AGAIN, None, Visible::While(linked)),
        text(&format!("{} {}", code.shown(), request_id.shown()), 9, false, Visible::While(done)),
    ];
    Ok(Script {
        name: NAME,
        variables: vec![working, done, linked, message, code, request_id, join_url],
        actions: vec![escalate, stop_waiting, open_again],
        page,
    })
}
