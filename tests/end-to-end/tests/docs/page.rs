//! A Markdown page as a renderer reads it: its anchors, its links, its code spans.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The links and anchors of a page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The fragments of its headings.
    pub anchors: BTreeSet<String>,
    /// The targets of its links and images.
    pub targets: Vec<String>,
    /// The texts in backticks outside of code blocks.
    pub code_spans: Vec<String>,
    /// References such as `[text][name]` without a definition.
    pub undefined: Vec<String>,
}

impl Page {
    /// Reads a page from its Markdown.
    pub(crate) fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut undefined = Vec::new();
        let mut heading: Option<String> = None;
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let broken = |link: pulldown_cmark::BrokenLink<'_>| {
            undefined.push(link.reference.to_string());
            None
        };
        let options = Options::ENABLE_TABLES;
        for event in Parser::new_with_broken_link_callback(text, options, Some(broken)) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.targets.push(dest_url.to_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let fragment = fragment(&heading.take().unwrap_or_default());
                    let times = seen.entry(fragment.clone()).or_default();
                    page.anchors.insert(if *times == 0 { fragment } else { format!("{fragment}-{times}") });
                    *times += 1;
                }
                Event::Text(words) => heading.iter_mut().for_each(|heading| heading.push_str(&words)),
                Event::Code(words) => {
                    heading.iter_mut().for_each(|heading| heading.push_str(&words));
                    page.code_spans.push(words.to_string());
                }
                _ => {}
            }
        }
        // A pair of brackets that is no link may stand in prose; only the form of two pairs is meant as one.
        page.undefined = undefined.into_iter().filter(|name| text.contains(&format!("][{name}]"))).collect();
        page
    }
}

/// A heading as GitHub makes a fragment of it.
fn fragment(heading: &str) -> String {
    let words = heading.trim().to_lowercase();
    words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
}

/// Every page of the repository, by its path from the root; nothing that a build has fetched or made.
pub(crate) fn all() -> BTreeMap<PathBuf, Page> {
    fn walk(root: &Path, folder: &Path, pages: &mut BTreeMap<PathBuf, Page>) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && name != "target" {
                    walk(root, &path, pages);
                }
            } else if name.ends_with(".md") {
                let page = Page::read(&fs::read_to_string(&path).unwrap());
                pages.insert(path.strip_prefix(root).unwrap().to_owned(), page);
            }
        }
    }
    let mut pages = BTreeMap::new();
    walk(&super::path(""), &super::path(""), &mut pages);
    pages
}
