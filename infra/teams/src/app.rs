//! The app as the options describe it, checked: what an [`App`] holds, the manifest's schema takes.

use url::Url;
use uuid::Uuid;

use crate::Trouble;
use crate::command::{self, Command};

/// The most characters of the app's name.
pub const NAME_LIMIT: usize = 30;

/// The most characters of the developer's name.
pub const DEVELOPER_LIMIT: usize = 32;

/// The most characters of an address.
pub const URL_LIMIT: usize = 2048;

/// The app's name when none is given.
pub const USUAL_NAME: &str = "Contact Center Bridge";

/// The app's version when none is given.
pub const USUAL_VERSION: &str = "1.0.0";

/// Makes the app's own id from the bot's, so that every package for one bot is an update of the same app.
const NAMESPACE: Uuid = Uuid::from_u128(0x5b0c_3a52_9a0e_4d0c_8d6e_4f0a_7c2b_91e3);

/// The options as they were given on the command line; `None` for one that was not.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The application (client) id of the bot's registration in Entra ID, a GUID.
    pub app_id: Option<String>,
    /// The app's name in Teams.
    pub name: Option<String>,
    /// The version of the package, three numbers with dots between them.
    pub version: Option<String>,
    /// The name of the organization that answers for the app.
    pub developer: Option<String>,
    /// Its page about the app, an address by https.
    pub website: Option<String>,
    /// Its privacy statement, an address by https.
    pub privacy: Option<String>,
    /// Its terms of use, an address by https.
    pub terms: Option<String>,
    /// The commands that Teams offers to a person who types to the bot: names with commas between them, or `all`.
    pub commands: Option<String>,
    /// Whether the app asks for every message of the chats and channels it is installed in.
    pub rsc: bool,
}

/// An app that the manifest's schema takes.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) id: Uuid,
    pub(crate) bot_id: Uuid,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) developer: String,
    pub(crate) website: Url,
    pub(crate) privacy: Url,
    pub(crate) terms: Url,
    pub(crate) commands: Vec<Command>,
    pub(crate) rsc: bool,
}

impl App {
    /// Checks the options.
    ///
    /// # Errors
    /// One line for each option that is missing or wrong, with its remedy: all of them at once.
    pub fn read(options: &Options) -> Result<Self, Trouble> {
        Self::checked(options).map_err(Trouble)
    }

    fn checked(options: &Options) -> Result<Self, String> {
        let bot_id = bot_id(options.app_id.as_deref());
        let name = limited("--name", options.name.as_deref().unwrap_or(USUAL_NAME), NAME_LIMIT);
        let version = version_of(options.version.as_deref().unwrap_or(USUAL_VERSION));
        let developer = options.developer.as_deref().ok_or_else(|| {
            "--developer is missing: the name of the organization that answers for the app, such as yours.".to_owned()
        });
        let developer = developer.and_then(|name| limited("--developer", name, DEVELOPER_LIMIT));
        let website = address("--website", "about the app", options.website.as_deref());
        let privacy = address("--privacy", "with its privacy statement", options.privacy.as_deref());
        let terms = address("--terms", "with its terms of use", options.terms.as_deref());
        let commands = command::named(options.commands.as_deref().unwrap_or_default());

        let names = [name.as_ref().err(), version.as_ref().err(), developer.as_ref().err()];
        let addresses = [&website, &privacy, &terms].map(|address| address.as_ref().err());
        let mistakes =
            [bot_id.as_ref().err()].into_iter().chain(names).chain(addresses).chain([commands.as_ref().err()]);
        let mistakes: Vec<&str> = mistakes.flatten().map(String::as_str).collect();
        if !mistakes.is_empty() {
            return Err(mistakes.join("\n"));
        }
        let bot_id = bot_id?;
        Ok(Self {
            id: Uuid::new_v5(&NAMESPACE, bot_id.as_bytes()),
            bot_id,
            name: name?,
            version: version?,
            developer: developer?,
            website: website?,
            privacy: privacy?,
            terms: terms?,
            commands: commands?,
            rsc: options.rsc,
        })
    }

    /// The app's own id, by which the catalog of the tenant knows it (`externalId` in Microsoft Graph). Not the bot's.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The version of the package.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

fn bot_id(given: Option<&str>) -> Result<Uuid, String> {
    let place =
        "Copy the Application (client) ID of the bot's registration from the Entra admin center, App registrations.";
    let given = given.ok_or_else(|| format!("--app-id is missing. {place}"))?;
    match Uuid::try_parse(given.trim()) {
        Ok(id) if !id.is_nil() => Ok(id),
        _ => Err(format!("--app-id is no GUID: `{given}`. {place}")),
    }
}

/// A name of at least one and at most this many characters.
fn limited(option: &str, given: &str, limit: usize) -> Result<String, String> {
    let name = given.trim();
    let length = name.chars().count();
    match length {
        0 => Err(format!("{option} is empty. Give a name of at most {limit} characters.")),
        _ if length > limit => {
            Err(format!("{option} has {length} characters, and Teams takes {limit}. Shorten it: `{name}`."))
        }
        _ if name.contains(char::is_control) => Err(format!("{option} has a line break or another control character.")),
        _ => Ok(name.to_owned()),
    }
}

fn version_of(given: &str) -> Result<String, String> {
    let is_number = |part: &str| part.parse::<u32>().is_ok_and(|number| number.to_string() == part);
    if given.split('.').count() == 3 && given.split('.').all(is_number) {
        return Ok(given.to_owned());
    }
    Err(format!("--app-version is not three numbers with dots between them, such as {USUAL_VERSION}: `{given}`."))
}

/// The address of a page. Teams shows these three to everybody who looks at the app, and takes no other scheme.
fn address(option: &str, about: &str, given: Option<&str>) -> Result<Url, String> {
    let wanted = format!("Give the address of the page {about}, such as https://contoso.com/teams.");
    let given = given.ok_or_else(|| format!("{option} is missing. {wanted}"))?;
    let url =
        Url::parse(given.trim()).map_err(|error| format!("{option} is no address ({error}): `{given}`. {wanted}"))?;
    let length = url.as_str().chars().count();
    if url.scheme() != "https" {
        Err(format!("{option} does not begin with https://: `{given}`. {wanted}"))
    } else if !url.username().is_empty() || url.password().is_some() {
        Err(format!("{option} holds a user's name or a password, and everybody will read it. {wanted}"))
    } else if length > URL_LIMIT {
        Err(format!("{option} has {length} characters, and Teams takes {URL_LIMIT}. {wanted}"))
    } else {
        Ok(url)
    }
}
