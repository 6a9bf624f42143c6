//! The lines that a running sandbox prints for a shell, and the output to expect when they are pasted.

use std::fmt;
use std::path::Path;

use crate::cloud::USUAL_PORT;
use crate::sandbox::Sandbox;
use crate::stand_ins::{AGENT_GENESYS_ID, AGENT_ID};

/// Some lines that belong together, with an explanation.
#[derive(Debug)]
pub struct PasteStep {
    /// What the lines do, in a sentence or two. A shell whose comments are off, as those of zsh are, takes the words
    /// for a command; so no character in them has a meaning for it, except for a pair of quotes.
    pub what: &'static str,
    /// The lines, for a POSIX shell in the checkout.
    pub lines: String,
    /// The output to look for, in words, and the texts that are in it when it worked.
    pub look_for: Option<(&'static str, &'static [&'static str])>,
    /// The tool that they need beside `curl` and Python; `None` when there is none.
    pub needs: Option<&'static str>,
}

impl fmt::Display for PasteStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.what.lines() {
            writeln!(f, "  # {line}")?;
        }
        for line in self.lines.lines() {
            writeln!(f, "  {line}")?;
        }
        match self.look_for {
            Some((words, _)) => words.lines().enumerate().try_for_each(|(index, line)| {
                let begin = if index == 0 { "look for" } else { "        " };
                writeln!(f, "  #   {begin} {line}")
            }),
            None => Ok(()),
        }
    }
}

/// Everything that can be pasted, in the order in which it works: later lines use the shell's `TOKEN` and `click`.
#[must_use]
pub fn steps(sandbox: &Sandbox, env_file: &Path, integration_file: &Path) -> Vec<PasteStep> {
    let control = &sandbox.control;
    let mut steps = clicks(sandbox, integration_file);
    steps.extend(faults(control));
    steps.push(PasteStep {
        what: "all that can be switched on",
        lines: format!("curl -s {control}/"),
        look_for: None,
        needs: None,
    });
    let env_file = from_here(env_file);
    steps.push(PasteStep {
        what: "the functions without the local cloud, in another terminal",
        lines: format!(
            "cargo lambda watch --env-file {env_file}\n\
             cargo lambda invoke create-meeting --data-file tests/events/create-meeting.json"
        ),
        look_for: None,
        needs: Some("cargo-lambda"),
    });
    steps
}

/// The steps of one click, a change of presence, and their outcome.
fn clicks(sandbox: &Sandbox, integration_file: &Path) -> Vec<PasteStep> {
    let (url, host) = sandbox.route("/escalations");
    let (presence_url, _) = sandbox.route("/presence");
    let control = &sandbox.control;
    let token_request = sandbox.caller_token_command();
    // The one on the usual port is found without a word.
    let integration = match sandbox.cloud.port {
        USUAL_PORT => String::new(),
        _ => format!(" \\\n  --integration {}", from_here(integration_file)),
    };
    vec![
        PasteStep {
            what: "one click, and what becomes of it step by step; the same line again is a second click",
            lines: format!(
                r#"cargo data-action infra/genesys/data-actions/escalate-to-teams.custom.json \
  --input '{{"user":"kim@contoso.com","agentName":"Kim","toAddress":"+447700900456","conversationId":"demo-1"}}'{integration}"#
            ),
            look_for: Some((
                "\"created\", and \"existing\" with the same joinUrl the second time",
                &[r#""ok": true"#, r#""joinUrl": "https://"#],
            )),
            needs: Some("cargo"),
        },
        PasteStep {
            what: "in a browser: somebody writes in Teams on the left, and on the right is what the agent sees in Genesys Cloud",
            lines: format!("{control}/teams"),
            look_for: None,
            needs: Some("a browser"),
        },
        PasteStep {
            what: "a token, as the customAuth action of Genesys Cloud fetches it, and a click without Genesys Cloud",
            lines: format!(
                r#"TOKEN=$({token_request} | python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
click() {{ curl -s {url} -H 'Host: {host}' -H "Authorization: Bearer $TOKEN" -w '\nafter %{{time_total}} s\n' -d "{{\"user\":\"kim@contoso.com\",\"agentName\":\"Kim\",\"toAddress\":\"+447700900457\",\"conversationId\":\"$1\"}}"; }}
click demo-2"#
            ),
            look_for: Some(("\"ok\":true and a joinUrl", &[r#""ok":true"#, r#""smsStatus":"accepted""#])),
            needs: None,
        },
        PasteStep {
            what: "what the phones got",
            lines: format!("curl -s {control}/phone -w '\\n'"),
            look_for: Some((
                "the text with the link of your click",
                &["+447700900457", "https://teams.microsoft.com/"],
            )),
            needs: None,
        },
        PasteStep {
            what: "an agent goes On Queue, by one call",
            lines: format!(
                r#"curl -s {presence_url} -H 'Host: {host}' -H "Authorization: Bearer $TOKEN" -w '\n' -d '{{"userId":"{AGENT_GENESYS_ID}","systemPresence":"On Queue"}}'
curl -s {control}/presence/{AGENT_ID}"#
            ),
            look_for: Some(("Busy/Busy: that is what Teams shows", &["Busy/Busy"])),
            needs: None,
        },
        PasteStep {
            what: "the same agent has a meal, by an event on Amazon EventBridge",
            lines: format!(
                r#"curl -s {control}/genesys-presence -d '{{"userId":"{AGENT_GENESYS_ID}","systemPresence":"MEAL"}}'
sleep 5; curl -s {control}/presence/{AGENT_ID}"#
            ),
            look_for: Some(("Away/Away", &["Away/"])),
            needs: None,
        },
    ]
}

/// The steps with faults, each with the click that meets it. Every paste is a conversation of its own: a message that
/// was sent is not sent again, and would meet no fault.
fn faults(control: &str) -> Vec<PasteStep> {
    vec![
        PasteStep {
            what: "Graph throttles, and asks for a second and a half",
            lines: format!(
                r#"curl -s {control}/faults -d '{{"at":"graph","match":"createOrGet","status":429,"retryAfter":"1.5"}}' -w '\n'
click "throttled-$(date +%s)""#
            ),
            look_for: Some((
                "\"ok\":true all the same, after 1.5 s or more: the bridge waited as long as it was asked to",
                &[r#""ok":true"#, r#""code":"created""#],
            )),
            needs: None,
        },
        PasteStep {
            what: "Genesys Cloud takes the text message, and the connection breaks before it says so",
            lines: format!(
                r#"curl -s {control}/faults -d '{{"at":"genesys","match":"agentless","when":"after","reset":true}}' -w '\n'
BROKEN="broken-$(date +%s)"; click "$BROKEN"; click "$BROKEN""#
            ),
            look_for: Some((
                "\"smsCode\":\"outcomeUnknown\" twice, with the joinUrl: the second click sends nothing either,\n\
                 because the customer may have the text, as the phone of the sandbox does",
                &[r#""smsStatus":"unknown""#, r#""smsCode":"outcomeUnknown""#, r#""joinUrl":"https://"#],
            )),
            needs: None,
        },
        PasteStep {
            what: "Entra ID gets a new client secret, which is stored in Secrets Manager, and every token ends",
            lines: format!(
                r#"curl -s {control}/rotate -d '{{"at":"entra"}}'; curl -s -X POST {control}/expire
click "rotated-$(date +%s)""#
            ),
            look_for: Some((
                "\"ok\":true: the bridge read the secret again, and nothing was deployed or started anew",
                &[r#""ok":true"#, r#""code":"created""#],
            )),
            needs: None,
        },
    ]
}

/// A path as it is written from the working directory.
fn from_here(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.strip_prefix(here).unwrap_or(&path).display().to_string()
}
