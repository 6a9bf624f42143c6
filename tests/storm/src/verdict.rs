//! The verdict: compares what was written with what agents see.

use std::collections::{BTreeMap, HashMap, HashSet};

use sandbox::stand_ins::Conversation;

/// The messages that were written in each chat, in order.
pub type Written = BTreeMap<String, Vec<Message>>;

/// A message that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id in Teams, unique in its chat.
    pub id: String,
    /// The text of the message.
    pub text: String,
    /// Whether it has a photo.
    pub photo: bool,
}

/// The verdict on what agents see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The number of messages that were written.
    pub written: usize,
    /// Messages that are shown once, as they were written.
    pub once: usize,
    /// Messages that are not shown.
    pub missing: usize,
    /// Messages that are shown more than once.
    pub repeated: usize,
    /// The most times that one of them is shown.
    pub most: usize,
    /// Messages that are shown, but were never written, or not like this.
    pub wrong: usize,
    /// Chats whose messages are not in the order in which they were written, by the time that each message has.
    pub disordered: usize,
    /// Messages that arrived after a newer one because Graph notified of them late, or never.
    pub late: usize,
    /// Messages that arrived after a newer one although Graph had notified of them in time.
    pub overtaken: usize,
}

impl Verdict {
    /// Compares. `troubled` are the resources that Graph notified of late or never: `chats('…')/messages('…')`.
    #[must_use]
    pub fn of(written: &Written, shown: &[Conversation], troubled: &HashSet<String>) -> Self {
        let mut verdict = Self::default();
        let mut conversations: HashMap<&str, &Conversation> = HashMap::new();
        for conversation in shown {
            let chat = conversation.from["id"].as_str().unwrap_or_default();
            if !written.contains_key(chat) || conversations.insert(chat, conversation).is_some() {
                verdict.wrong += conversation.messages.len();
            }
        }
        for (chat, messages) in written {
            verdict.chat(chat, messages, conversations.get(chat.as_str()).copied(), troubled);
        }
        verdict
    }

    fn chat(&mut self, chat: &str, written: &[Message], shown: Option<&Conversation>, troubled: &HashSet<String>) {
        let places: HashMap<&str, usize> =
            written.iter().enumerate().map(|(place, message)| (message.id.as_str(), place)).collect();
        let mut counts = vec![0_usize; written.len()];
        let mut youngest = None;
        // The time that each has, as text: all have one form.
        let mut by_time = Vec::new();
        for message in shown.iter().flat_map(|conversation| &conversation.messages) {
            let place = message.metadata["teamsMessageId"].as_str().and_then(|id| places.get(id).copied());
            let same = |it: &&Message| {
                let photos = message.attachments.iter().filter(|file| file.status == Some(200)).count();
                message.text.starts_with(&it.text) && photos == usize::from(it.photo)
            };
            let Some((place, original)) = place.and_then(|place| Some((place, written.get(place).filter(same)?)))
            else {
                self.wrong += 1;
                continue;
            };
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
            by_time.push((message.time.as_str(), place));
            if youngest.is_some_and(|youngest| place < youngest) {
                let is_troubled = troubled.contains(&format!("chats('{chat}')/messages('{}')", original.id));
                *(if is_troubled { &mut self.late } else { &mut self.overtaken }) += 1;
            }
            youngest = youngest.max(Some(place));
        }
        self.written += written.len();
        self.missing += counts.iter().filter(|count| **count == 0).count();
        self.once += counts.iter().filter(|count| **count == 1).count();
        self.repeated += counts.iter().filter(|count| **count > 1).count();
        self.most = self.most.max(counts.iter().copied().max().unwrap_or_default());
        by_time.sort_unstable();
        self.disordered += usize::from(!by_time.is_sorted_by_key(|(_, place)| *place));
    }

    /// Whether every message that was written is shown.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// The broken promises, a sentence each. A message may be shown this many times.
    #[must_use]
    pub fn broken(&self, times_allowed: usize) -> Vec<String> {
        let repeated = if self.most > times_allowed { self.repeated } else { 0 };
        let faults = [
            (self.missing, "messages are missing"),
            (repeated, "messages are there more often than they may be"),
            (self.wrong, "messages are there that nobody wrote so"),
            (self.disordered, "chats are not in their order"),
            (self.overtaken, "messages were overtaken although Graph told of them in time"),
        ];
        faults.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use sandbox::stand_ins::InboundMessage;

    use super::*;

    const CHAT: &str = "19:a@thread.v2";

    fn written(count: usize) -> Written {
        let message = |place: usize| Message { id: format!("{}", 100 + place), text: place.to_string(), photo: false };
        BTreeMap::from([(CHAT.to_owned(), (0..count).map(message).collect())])
    }

    fn shown(places: &[usize]) -> Conversation {
        let message = |place: &usize| InboundMessage {
            id: String::new(),
            message_id: String::new(),
            time: format!("2026-01-01T00:00:00.{:03}Z", 100 + place),
            text: place.to_string(),
            attachments: Vec::new(),
            dropped: Vec::new(),
            metadata: [("teamsMessageId", (100 + place).to_string())].into_iter().collect(),
        };
        Conversation {
            id: String::new(),
            integration_id: String::new(),
            from: [("id", CHAT)].into_iter().collect(),
            messages: places.iter().map(message).collect(),
        }
    }

    fn verdict(shown: &[Conversation], troubled: &[usize]) -> Verdict {
        let troubled = troubled.iter().map(|place| format!("chats('{CHAT}')/messages('{}')", 100 + place)).collect();
        Verdict::of(&written(4), shown, &troubled)
    }

    #[test]
    fn all_of_it_once_and_in_order_is_good() {
        let good = verdict(&[shown(&[0, 1, 2, 3])], &[]);
        assert_eq!(good, Verdict { written: 4, once: 4, most: 1, ..Verdict::default() });
        assert!(good.is_complete() && good.broken(1).is_empty());
    }

    #[test]
    fn whatever_is_not_so_is_found() {
        let missing = verdict(&[shown(&[0, 2, 3])], &[]);
        assert_eq!((missing.missing, missing.once, missing.is_complete()), (1, 3, false));
        assert_eq!(verdict(&[], &[]).missing, 4);
        assert_eq!(verdict(&[shown(&[0, 1, 1, 2, 3])], &[]).repeated, 1);
        let repeated = verdict(&[shown(&[0, 1, 1, 2, 3])], &[]);
        assert_eq!((repeated.most, repeated.broken(1).len(), repeated.broken(2).len()), (2, 1, 0));
        assert_eq!(verdict(&[shown(&[0, 1, 2, 3, 4])], &[]).wrong, 1, "nobody wrote it");
        assert_eq!(verdict(&[shown(&[0, 1, 2, 3]), shown(&[0])], &[]).wrong, 1, "in a second conversation");
        let mut other = shown(&[0, 1, 2, 3]);
        other.messages[1].text = "another".into();
        assert_eq!((verdict(&[other.clone()], &[]).wrong, verdict(&[other], &[]).missing), (1, 1));
        let mut early = shown(&[0, 1, 2, 3]);
        early.messages[3].time = "2026-01-01T00:00:00.000Z".into();
        assert_eq!(verdict(&[early], &[]).disordered, 1);
        for broken in [missing, verdict(&[shown(&[0, 1, 3, 2])], &[])] {
            assert_eq!(broken.broken(1).len(), 1, "{broken:?}");
        }
    }

    #[test]
    fn only_what_graph_told_of_late_may_come_after_a_younger_one() {
        let came = [shown(&[0, 2, 3, 1])];
        assert_eq!((verdict(&came, &[1]).late, verdict(&came, &[1]).overtaken), (1, 0));
        assert_eq!((verdict(&came, &[0]).late, verdict(&came, &[0]).overtaken), (0, 1));
    }
}
