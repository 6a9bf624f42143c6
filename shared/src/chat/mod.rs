//! A message of a Teams chat, as Graph hands it out, and how it reads in plain text.

#[cfg(test)]
mod hostile;
pub(crate) mod lenient_json;
pub mod message;
pub mod text;
