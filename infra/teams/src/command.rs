//! The commands that Teams offers to a person who types to the bot. The bot understands a command however it is typed;
//! a list only shows that it is there, so it has to name no command that the deployed bot does not have.

use serde::Serialize;

/// Where people meet the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Scope {
    /// A chat of one person with the bot.
    Personal,
    /// A chat of several people.
    GroupChat,
    /// The channels of a team.
    Team,
}

/// Every scope, in the manifest's order.
pub(crate) const SCOPES: [Scope; 3] = [Scope::Personal, Scope::GroupChat, Scope::Team];

/// A command, with the text that Teams shows beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Command {
    /// The words that a person types.
    pub title: &'static str,
    /// What it does, in a line.
    pub(crate) description: &'static str,
    /// Whether it makes sense where others read along. The commands of an expert do not: they show customers.
    #[serde(skip)]
    pub(crate) in_groups: bool,
}

/// Every command, in the order of a shift.
pub const COMMANDS: [Command; 9] = [
    of_experts("sign in", "Take conversations that need an expert"),
    of_experts("sign out", "Take no more conversations"),
    of_experts("list", "Show the conversations that wait"),
    of_experts("accept", "Take a conversation, by its number in the list"),
    Command { title: "end", description: "End this conversation", in_groups: true },
    of_experts("transfer", "Give the conversation back to the contact center"),
    of_experts("history", "Show what was written before"),
    of_experts("meeting", "Send the customer a link to a Teams meeting"),
    Command { title: "help", description: "Show what the bot can do", in_groups: true },
];

const fn of_experts(title: &'static str, description: &'static str) -> Command {
    Command { title, description, in_groups: false }
}

impl Command {
    /// Whether Teams offers the command in this scope.
    pub(crate) fn is_offered_in(&self, scope: Scope) -> bool {
        self.in_groups || scope == Scope::Personal
    }
}

/// The commands of a list of names with commas between them, in the order of [`COMMANDS`]. `all` is every command, an
/// empty list none.
///
/// # Errors
/// A name that no command has.
pub(crate) fn named(list: &str) -> Result<Vec<Command>, String> {
    let names: Vec<&str> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names == ["all"] {
        return Ok(COMMANDS.to_vec());
    }
    if let Some(unknown) = names.iter().find(|name| COMMANDS.iter().all(|command| command.title != **name)) {
        let known = COMMANDS.map(|command| command.title).join(", ");
        return Err(format!("--commands has no command `{unknown}`. There are: {known}; or `all`."));
    }
    Ok(COMMANDS.into_iter().filter(|command| names.contains(&command.title)).collect())
}
