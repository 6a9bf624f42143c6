//! The elements of cards that need more than their words one below the other. Each reader returns the members that it
//! has read.

use jiff::SignedDuration;
use serde_json::Value;

use super::Part;
use super::names::{CARD_ACTIONS, has};
use super::reader::{Members, Reader, is_button, kind, links, scalar, text};
use crate::chat::text::{address, named};

/// The members that hold a button's label. They also may be what it sends or where it leads.
const LABELS: [&str; 5] = ["title", "name", "text", "displayText", "label"];
const LEADS: [&str; 6] = ["url", "uri", "target", "targets", "value", "data"];

/// The members that hold the label of an element with two parts, a label and a value.
const FACT_LABELS: [&str; 7] = ["title", "name", "key", "label", "legend", "display", "x"];
const FACT_VALUES: [&str; 3] = ["value", "y", SIZE];
/// The member `size`: a number to show in a chart, layout anywhere else.
const SIZE: &str = "size";

/// The hosts where Teams keeps recordings, which can only be opened in Teams.
const TEAMS_HOSTS: [&str; 2] = [".asm.skype.com", ".asyncgw.teams.microsoft.com"];

impl Reader {
    /// Reads an element of a known kind, and returns the members that need not be read again.
    pub(super) fn known<'a>(&mut self, kind: &str, members: &'a Members) -> Vec<&'a str> {
        match kind {
            "CodeBlock" => {
                let code = members.get("codeSnippet").and_then(Value::as_str).unwrap_or_default();
                if !code.trim().is_empty() {
                    self.parts.push(Part::Code(code.to_owned()));
                }
                vec!["codeSnippet"]
            }
            "RichTextBlock" => self.rich_text(members),
            "Media" => self.media(members),
            "Icon" | "IconRun" => self.icon(members).to_vec(),
            "Component" => vec!["name"],
            "Rating" | "ProgressBar" | "ProgressRing" => self.gauge(kind, members),
            chart if chart.starts_with("Chart.") => {
                self.named(named("chart", &scalar(members, "title").unwrap_or_default()));
                vec!["title"]
            }
            button if is_button(button, members) => self.button(button, members),
            "Image" | "ImageRun" => self.image(members),
            "" if members.get("url").is_some_and(Value::is_string) => self.image(members),
            "" => self.fact(members),
            _ => Vec::new(),
        }
    }

    fn image(&mut self, members: &Members) -> Vec<&'static str> {
        let [address, alt, other] = ["url", "altText", "alt"].map(|name| scalar(members, name).unwrap_or_default());
        self.parts.push(Part::Picture { address, alt: if alt.is_empty() { other } else { alt } });
        vec!["url", "altText", "alt"]
    }

    pub(super) fn icon(&mut self, members: &Members) -> &'static [&'static str] {
        self.named(named("icon", &scalar(members, "name").unwrap_or_default()));
        &["name"]
    }

    /// A fact, a label with its value: `Stage: Production`.
    fn fact(&mut self, members: &Members) -> Vec<&'static str> {
        let is_said = |name: &str| name != SIZE || members.get(name).is_some_and(Value::is_number);
        let first = |names: &[&'static str]| {
            names.iter().filter(|name| is_said(name)).find_map(|name| Some((*name, scalar(members, name)?)))
        };
        let (Some((label_name, label)), Some((value_name, value))) = (first(&FACT_LABELS), first(&FACT_VALUES)) else {
            return Vec::new();
        };
        self.words(&format!("{}: {value}", label.trim_end_matches(':')));
        vec![label_name, value_name]
    }

    /// A gauge or a rating: `[rating: 4 of 5]`.
    fn gauge(&mut self, kind: &str, members: &Members) -> Vec<&'static str> {
        let what = if kind == "Rating" { "rating" } else { "progress" };
        let value = scalar(members, "value");
        let most = scalar(members, "max").map(|most| format!(" of {most}")).unwrap_or_default();
        self.named(named(what, &value.map(|value| value + &most).unwrap_or_default()));
        vec!["value", "max"]
    }

    /// A text of several runs, on one line; the link of a run follows its words.
    fn rich_text(&mut self, members: &Members) -> Vec<&'static str> {
        let Some(Value::Array(runs)) = members.get("inlines") else { return Vec::new() };
        let (mut line, mut more) = (String::new(), Self::default());
        for run in runs {
            match run {
                Value::Object(run) => {
                    let words = run.get("text").and_then(Value::as_str).unwrap_or_default();
                    line.push_str(words);
                    if let Some(Value::Object(action)) = run.get("selectAction").filter(|_| run.contains_key("text")) {
                        let (label, leads) = label_and_leads(kind(action), action);
                        for lead in leads.iter().filter(|lead| lead.as_str() != words) {
                            line.push_str(&format!(" ({lead})"));
                        }
                        let label = label.map(|(_, label)| label).filter(|label| label != words.trim());
                        more.words(&label.unwrap_or_default());
                        more.rest(action, "", &consumed(kind(action), action));
                    }
                    // The other kinds and members that a run may have.
                    if run.contains_key("text") {
                        more.object_but(run, &["text", "selectAction"]);
                    } else {
                        more.object(run);
                    }
                }
                Value::String(words) => line.push_str(words),
                other => more.element(other),
            }
        }
        self.words(&line);
        self.parts.append(&mut more.parts);
        vec!["inlines"]
    }

    /// A button by its label and link: `[button: Open] (https://…)`.
    fn button<'a>(&mut self, kind: &str, members: &'a Members) -> Vec<&'a str> {
        let (label, leads) = label_and_leads(kind, members);
        let mut words = named("button", &label.map(|(_, label)| label).unwrap_or_default());
        for lead in leads {
            words.push_str(&format!(" ({lead})"));
        }
        self.named(words);
        consumed(kind, members)
    }

    /// The action of a press on an element. Most have no title, and only their link is shown.
    pub(super) fn press(&mut self, action: &Members) {
        let (label, leads) = label_and_leads(kind(action), action);
        if label.is_some() {
            return self.object(action);
        }
        for lead in leads {
            self.named(format!("[link] ({lead})"));
        }
        self.rest(action, "", &consumed(kind(action), action));
        if let Some(instead) = action.get("fallback") {
            self.element(instead);
        }
    }

    /// The choices of an input, one below the other.
    pub(super) fn choices(&mut self, choices: &[Value]) {
        for choice in choices {
            let Value::Object(members) = choice else {
                self.element(choice);
                continue;
            };
            let names = ["title", "display", "name", "text", "value"];
            let title = names.into_iter().find_map(|name| Some((name, scalar(members, name)?)));
            if let Some((name, title)) = title {
                self.words(&format!("- {title}"));
                self.rest(members, "", &[name, "value"]);
            } else {
                self.element(choice);
            }
        }
    }

    /// The rows of a table, each on its own line.
    pub(super) fn rows(&mut self, rows: &[Value]) {
        for row in rows {
            let Some((members, cells)) = row.as_object().and_then(|row| Some((row, row.get("cells")?.as_array()?)))
            else {
                self.element(row);
                continue;
            };
            let cells: Vec<Vec<Part>> = cells
                .iter()
                .map(|cell| {
                    let mut reader = Self::default();
                    reader.element(cell);
                    reader.parts
                })
                .collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                self.parts.push(Part::Row(cells));
            }
            self.object_but(members, &["cells"]);
        }
    }

    /// A video or a picture: `[video: Name] (https://…)`.
    fn media(&mut self, members: &Members) -> Vec<&'static str> {
        let alt = scalar(members, "altText").unwrap_or_default();
        match members.get("sources") {
            Some(Value::Array(sources)) if !sources.is_empty() => self.sources("video", &alt, sources),
            _ => self.named(recorded("video", "", &alt, "")),
        }
        vec!["altText", "sources"]
    }

    pub(super) fn sources(&mut self, kind: &str, label: &str, sources: &[Value]) {
        for source in sources {
            let Some((members, url)) = source.as_object().and_then(|it| Some((it, it.get("url")?.as_str()?))) else {
                self.element(source);
                continue;
            };
            let kind = if text(source, "mimeType").starts_with("audio/") { "audio" } else { kind };
            self.named(recorded(kind, "", label, url));
            self.rest(members, "", &["url"]);
        }
    }

    pub(super) fn captions(&mut self, sources: &[Value]) {
        for source in sources {
            let Value::Object(members) = source else {
                self.element(source);
                continue;
            };
            let mut words = named("captions", &scalar(members, "label").unwrap_or_default());
            if let Some(url) = scalar(members, "url") {
                words.push_str(&format!(" ({url})"));
            }
            self.named(words);
            self.rest(members, "", &["label", "url"]);
        }
    }

    /// A card that is a recording, with its length.
    pub(super) fn recording(&mut self, kind: &str, members: &Members) -> Vec<&'static str> {
        let length = scalar(members, "duration").map(|duration| length(&duration)).unwrap_or_default();
        let sources = members.get("media").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut urls = sources.iter().filter_map(|source| source.get("url")?.as_str()).peekable();
        if urls.peek().is_none() {
            self.named(recorded(kind, &length, "", ""));
        }
        for url in urls {
            self.named(recorded(kind, &length, "", url));
        }
        for source in sources {
            match source {
                Value::Object(members) if members.get("url").is_some_and(Value::is_string) => {
                    self.rest(members, "", &["url"]);
                }
                other => self.element(other),
            }
        }
        vec!["duration", "media"]
    }
}

/// A recording: `[audio, 13 s: only in Teams]`, or its address.
fn recorded(kind: &str, length: &str, label: &str, url: &str) -> String {
    let what = if length.trim().is_empty() { kind.to_owned() } else { format!("{kind}, {length}") };
    let link = address(url).filter(|link| !link.contains(char::is_whitespace));
    let host = link.and_then(|link| link.split_once("://")?.1.split(['/', '?', '#']).next());
    let outside = host.is_some_and(|host| !TEAMS_HOSTS.iter().any(|teams| host.ends_with(teams)));
    match (link.filter(|_| outside), label) {
        (Some(link), label) => format!("{} ({link})", named(&what, label)),
        (None, "") => format!("[{what}: only in Teams]"),
        (None, label) => format!("[{what}: {label}, only in Teams]"),
    }
}

/// A duration for a reader: `PT1M5S` is `1 min 5 s`.
fn length(duration: &str) -> String {
    let Some(seconds) = duration.parse::<SignedDuration>().ok().map(|length| length.as_secs()).filter(|it| *it >= 0)
    else {
        return duration.to_owned();
    };
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// The label of a button, with the member that it comes from, and the links that it leads to.
fn label_and_leads(kind: &str, members: &Members) -> (Option<(&'static str, String)>, Vec<String>) {
    let label = LABELS.into_iter().find_map(|name| Some((name, scalar(members, name)?)));
    let mut leads = Vec::new();
    for value in sent(kind).filter(|name| is_sent(name, members)).filter_map(|name| members.get(name)) {
        links(value, &mut leads);
    }
    (label, leads)
}

/// The members that hold the link of a press or what it sends.
fn sent(kind: &str) -> impl Iterator<Item = &'static str> {
    let more: &[&str] = if has(CARD_ACTIONS, kind) { &["text", "displayText"] } else { &["body"] };
    LEADS.into_iter().chain(more.iter().copied())
}

/// The members that [`label_and_leads`] has read.
fn consumed(kind: &str, members: &Members) -> Vec<&'static str> {
    let label = LABELS.into_iter().find(|name| scalar(members, name).is_some());
    sent(kind).filter(|name| is_sent(name, members)).chain(label).collect()
}

/// Whether a button sends this member: a connector's button sends its `body`, which in any other element is shown.
fn is_sent(name: &str, members: &Members) -> bool {
    name != "body" || members.get(name).is_some_and(Value::is_string)
}
