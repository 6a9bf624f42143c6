//! The package of the Teams app: what a Teams administrator uploads, so that people find the bot. A zip with the manifest
//! and two icons, the same bytes from the same options.
//!
//! The rules are those of the manifest's [schema] in version 1.22. The newer ones add nothing that is used here.
//!
//! [schema]: https://developer.microsoft.com/json-schemas/teams/v1.22/MicrosoftTeams.schema.json

pub mod app;
pub mod command;
mod icon;
pub mod manifest;

use std::io::{Cursor, Write};
use std::path::PathBuf;

use app::App;
use manifest::Manifest;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Why there is no package, for the person at the terminal: what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

/// Where the package goes when no other place is named.
#[must_use]
pub fn usual_place() -> PathBuf {
    checkout::target().join("teams-app.zip")
}

/// The package as the bytes of a zip: `manifest.json` and both icons, at its root.
///
/// # Errors
/// When an icon cannot be drawn or the archive not be written, which the memory of the machine decides.
pub fn package(app: &App) -> Result<Vec<u8>, Trouble> {
    let manifest = Manifest::of(app).json()?;
    let files =
        [("manifest.json", manifest.into_bytes()), (icon::COLOR, icon::color()?), (icon::OUTLINE, icon::outline()?)];
    archive(&files).map_err(|error| Trouble(format!("The package cannot be written: {error}")))
}

/// The icons are compressed already, and a manifest is small: all is stored as it is, and dated alike.
fn archive(files: &[(&str, Vec<u8>)]) -> zip::result::ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        archive.start_file(*name, options)?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner())
}
