//! Reads the name of a resource, in all its spellings.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::kind::{self, CHAT_MESSAGE, ResourceKind, TablePlace};

/// The longest name that is read, in bytes and without its query. Mail ids have some 150 characters, chat ids some 100.
const MAX_NAME_BYTES: usize = 2048;

/// The most segments of a name. The longest that the bridge knows, a reply in a channel, has eight.
const MAX_SEGMENTS: usize = 16;

/// Graph's hosts in its clouds. A name may be a URL of one of them; only the path of the URL is used.
const GRAPH_HOSTS: [&str; 4] =
    ["graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"];

/// A resource, by the segments of its path below Graph's base URL, decoded: of `chats('19:a')/messages('7')` and of
/// `/Chats/19%3aa/Messages/7` they are four. A user's tenant (`Users/{id}@{tenant}`) is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceName<'a> {
    segments: Vec<Cow<'a, str>>,
}

/// The error for a text that is not the name of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text does not name a resource of Microsoft Graph")]
pub(crate) struct InvalidResourceName;

impl<'a> ResourceName<'a> {
    /// Reads the name of a single resource, as a notification writes it: a collection and an id at least, no query.
    ///
    /// # Errors
    /// [`InvalidResourceName`], also for a name that is longer than any of Graph's or could lead a request elsewhere.
    pub(crate) fn read(text: &'a str) -> Result<Self, InvalidResourceName> {
        match Self::read_with_query(text)? {
            (name, None) if name.segments.len() > 1 => Ok(name),
            _ => Err(InvalidResourceName),
        }
    }

    /// Reads the name of a resource or of a collection, and returns the query behind it unchanged.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_with_query(text: &'a str) -> Result<(Self, Option<&'a str>), InvalidResourceName> {
        let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
        if path.len() > MAX_NAME_BYTES {
            return Err(InvalidResourceName);
        }
        let segments = segments(below_graph(path)).ok_or(InvalidResourceName)?;
        Ok((Self { segments: without_tenant(segments) }, query))
    }

    /// The segments of the path, decoded; names of collections keep their case.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(AsRef::as_ref)
    }

    /// The segments in normal form: names of collections and functions in lower case, ids unchanged. All spellings of a
    /// resource have the same normal form.
    pub(crate) fn normal_segments(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let path = self.row().map(|(_, path)| path.text);
        let mut pattern = path.map(|path| path.split('/'));
        self.segments.iter().enumerate().map(move |(index, segment)| {
            let is_id = match &mut pattern {
                Some(pattern) => pattern.next() == Some(kind::ID_PLACEHOLDER),
                // Where the table does not know the path, names and ids alternate.
                None => index % 2 == 1 && !is_function(segment),
            };
            if is_id || !segment.contains(|c: char| c.is_ascii_uppercase()) {
                Cow::Borrowed(segment.as_ref())
            } else {
                Cow::Owned(segment.to_ascii_lowercase())
            }
        })
    }

    /// The normal form: its segments joined by slashes. It is a name too, and its own normal form.
    #[must_use]
    pub(crate) fn normal(&self) -> String {
        self.normal_segments().collect::<Vec<_>>().join("/")
    }

    /// The id that follows the name of this collection: for `chats` it is `19:a` in
    /// `users/u/chats('19:a')/messages('7')`.
    #[must_use]
    pub(crate) fn id_in(&self, collection: &str) -> Option<&str> {
        let index = self.segments.iter().position(|segment| segment.eq_ignore_ascii_case(collection))?;
        self.segments.get(index + 1).map(AsRef::as_ref).filter(|id| !is_function(id))
    }

    /// The kind of the resource, or of the collection's members; `None` for one that the table does not have.
    #[must_use]
    pub(crate) fn kind(&self) -> Option<&'static ResourceKind> {
        self.row().map(|(kind, _)| kind)
    }

    /// The ids of the chat and of the message, if it is a message of a chat.
    #[must_use]
    pub(crate) fn chat_message(&self) -> Option<(&str, &str)> {
        let (kind, path) = self.row()?;
        match self.segments.as_slice() {
            [.., chat, _, message] if path.is_item && kind.name == CHAT_MESSAGE.name => Some((chat, message)),
            _ => None,
        }
    }

    /// The application permission that reading it needs, which the error names when it is missing.
    #[must_use]
    pub(crate) fn read_permission(&self) -> &'static str {
        self.kind().map_or("for reading the resource", |kind| kind.read_permission)
    }

    /// The row of the table, and the path in it, that the name follows.
    pub(super) fn row(&self) -> Option<(&'static ResourceKind, TablePlace)> {
        kind::find(|pattern| {
            let mut segments = self.segments.iter();
            let fits = |wanted: &str| {
                segments.next().is_some_and(|segment| match wanted {
                    kind::ID_PLACEHOLDER => !is_function(segment),
                    name => segment.eq_ignore_ascii_case(name),
                })
            };
            pattern.split('/').all(fits) && segments.next().is_none()
        })
    }
}

/// Whether a segment is a function such as `getAllMessages`, which stands where an id would.
fn is_function(segment: &str) -> bool {
    segment.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("getall"))
}

/// The part of a path after a Graph host and a version; any other path unchanged.
fn below_graph(path: &str) -> &str {
    let below = || {
        let (host, path) = path.strip_prefix("https://")?.split_once('/')?;
        let (version, path) = path.split_once('/')?;
        (GRAPH_HOSTS.contains(&host) && matches!(version, "v1.0" | "beta") && !path.starts_with('/')).then_some(path)
    };
    below().unwrap_or(path)
}

/// The segments of a path; a key in parentheses is a segment of its own.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut segments = Vec::with_capacity(4);
    let mut rest = path.strip_prefix('/').unwrap_or(path);
    loop {
        let (segment, tail) = rest.split_at(rest.find(['/', '(']).unwrap_or(rest.len()));
        segments.push(decoded(segment).filter(|segment| is_harmless(segment))?);
        if let Some(tail) = tail.strip_prefix('(') {
            let (key, tail) = key(tail)?;
            segments.push(Some(key).filter(|key| is_harmless(key))?);
            rest = tail;
        } else {
            rest = tail;
        }
        if segments.len() > MAX_SEGMENTS {
            return None;
        }
        match rest.strip_prefix('/') {
            Some(tail) => rest = tail,
            None => return rest.is_empty().then_some(segments),
        }
    }
}

/// A key, and the text after its closing parenthesis. Between quotes, a quote that belongs to the key is written twice.
fn key(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('\'') else {
        let (bare, tail) = text.split_once(')')?;
        // `(name='…')` is the call of a function.
        return (!bare.contains('\'')).then_some((decoded(bare)?, tail));
    };
    let mut end = 0;
    loop {
        end += quoted.get(end..)?.find('\'')?;
        match quoted.get(end + 1..)?.strip_prefix('\'') {
            Some(_) => end += 2,
            None => break,
        }
    }
    let (key, tail) = (quoted.get(..end)?, quoted.get(end + 1..)?.strip_prefix(')')?);
    let key = decoded(key)?;
    if !key.contains('\'') {
        return Some((key, tail));
    }
    let is_doubled = !key.replace("''", "").contains('\'');
    is_doubled.then(|| (Cow::Owned(key.replace("''", "'")), tail))
}

fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    if segment.contains('%') { percent_decode_str(segment).decode_utf8().ok() } else { Some(segment.into()) }
}

/// Whether a segment can only be one part of a path. Anything that a server might take for a slash, a dot segment, an
/// end or one more layer of encoding is refused.
fn is_harmless(segment: &str) -> bool {
    let is_odd = |byte: u8| byte.is_ascii_control() || matches!(byte, b'(' | b')' | b'/' | b'\\' | b'%' | b'?' | b'#');
    !segment.is_empty()
        && !segment.starts_with('.')
        && !segment.bytes().any(is_odd)
        && (segment.is_ascii() || !segment.contains(char::is_control))
}

/// Removes the tenant: notifications of mail name a user as `users/{id}@{tenant}`, which is no path. A user principal
/// name is not changed, because its domain is no GUID.
fn without_tenant(mut segments: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    let is_tenant = |text: &str| text.len() == 36 && Uuid::try_parse(text).is_ok();
    if let [users, user, ..] = segments.as_mut_slice()
        && users.eq_ignore_ascii_case("users")
    {
        while let Some((id, tenant)) = user.rsplit_once('@')
            && is_tenant(tenant)
            && !id.is_empty()
        {
            *user = Cow::Owned(id.to_owned());
        }
    }
    segments
}
