//! Which images and files are kept, and for how long.

use std::str::FromStr;

use crate::config::Environment;

/// The largest limit that can be set: two of the largest files are in memory at once, of the function's 256 MB.
const LARGEST_LIMIT: usize = 50 * 1024 * 1024;

/// The longest life of a link: the bucket keeps an object for a day. A link may expire earlier, with the session of the
/// role that signed it, which has some hours left at the most.
const LONGEST_LIFE_MINUTES: u32 = 24 * 60;

/// Which files are kept, where, and for how long they can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSettings {
    /// The name of the bucket.
    pub bucket: String,
    /// How long a link is valid at most, in minutes.
    pub link_minutes: u32,
    /// The largest image or file that is kept, in bytes.
    pub max_bytes: usize,
    /// The media types that are kept.
    pub types: MediaTypes,
}

impl MediaSettings {
    /// Reads `MEDIA_BUCKET`, `MEDIA_LINK_MINUTES` (60), `MEDIA_MAX_BYTES` (10 MB) and `MEDIA_TYPES`.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let bucket = env.required::<BucketName>("MEDIA_BUCKET");
        let link_minutes = env.or("MEDIA_LINK_MINUTES", 60);
        let max_bytes = env.or("MEDIA_MAX_BYTES", 10 * 1024 * 1024);
        let types = env.or("MEDIA_TYPES", MediaTypes::default());
        let (bucket, link_minutes, max_bytes, types) = (bucket?, link_minutes?, max_bytes?, types?);
        if !(1..=LONGEST_LIFE_MINUTES).contains(&link_minutes) {
            env.problem(format!("MEDIA_LINK_MINUTES: expected 1 to {LONGEST_LIFE_MINUTES}"));
            return None;
        }
        if !(1..=LARGEST_LIMIT).contains(&max_bytes) {
            env.problem(format!("MEDIA_MAX_BYTES: expected 1 to {LARGEST_LIMIT}"));
            return None;
        }
        Some(Self { bucket: bucket.0, link_minutes, max_bytes, types })
    }
}

struct BucketName(String);

impl FromStr for BucketName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A dot would be one label too many for the certificate of the bucket's host.
        let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (3..=63).contains(&text.len()) && text.bytes().all(is_name) {
            Ok(Self(text.to_owned()))
        } else {
            Err("expected a bucket's name: 3 to 63 lower-case letters, digits and hyphens")
        }
    }
}

/// Media types that are passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaTypes(Vec<String>);

impl Default for MediaTypes {
    fn default() -> Self {
        let types = ["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"];
        Self(types.map(str::to_owned).to_vec())
    }
}

impl FromStr for MediaTypes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let types = text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect::<Vec<_>>();
        let is_token = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        let is_type = |name: &String| name.split_once('/').is_some_and(|(kind, rest)| is_token(kind) && is_token(rest));
        if !types.iter().all(is_type) {
            return Err("expected media types with commas between them, such as image/png,application/pdf");
        }
        if types.iter().any(|name| name.contains("html") || name.contains("xml") || name.contains("script")) {
            return Err("HTML, XML, SVG and scripts are not passed on, because to open such a file is to run it");
        }
        Ok(Self(types))
    }
}

impl MediaTypes {
    /// Whether a media type, in lower case and without parameters, is passed on.
    #[must_use]
    pub fn allow(&self, content_type: &str) -> bool {
        self.0.iter().any(|name| name == content_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<MediaSettings, String> {
        let mut env = Environment::of(variables.iter().copied());
        let settings = MediaSettings::read(&mut env);
        env.finish(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_bucket_has_to_be_named() {
        let settings = read(&[("MEDIA_BUCKET", "bridge-media-1")]).unwrap();
        assert_eq!((settings.link_minutes, settings.max_bytes), (60, 10 * 1024 * 1024));
        assert!(settings.types.allow("image/png") && settings.types.allow("application/pdf"));
        assert!(!settings.types.allow("text/html") && !settings.types.allow(""));
        let own = read(&[("MEDIA_BUCKET", "bridge-media"), ("MEDIA_TYPES", "Image/PNG, video/mp4")]).unwrap();
        assert!(own.types.allow("image/png") && own.types.allow("video/mp4") && !own.types.allow("image/gif"));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (name, value) in [
            ("MEDIA_BUCKET", "my.bucket"),
            ("MEDIA_BUCKET", "a/b"),
            ("MEDIA_LINK_MINUTES", "0"),
            ("MEDIA_LINK_MINUTES", "1441"),
            ("MEDIA_MAX_BYTES", "60000000"),
            ("MEDIA_MAX_BYTES", "0"),
            ("MEDIA_TYPES", "png"),
            ("MEDIA_TYPES", "image/png,"),
            ("MEDIA_TYPES", "image/svg+xml"),
            ("MEDIA_TYPES", "image/png,text/html"),
        ] {
            let mut variables = vec![("MEDIA_BUCKET", "bridge-media")];
            variables.retain(|(bucket, _)| *bucket != name);
            variables.push((name, value));
            assert!(read(&variables).unwrap_err().contains(name), "{name}: {value}");
        }
    }
}
