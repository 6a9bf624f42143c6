//! Every link and every anchor of the Markdown pages leads somewhere.

use std::path::{Component, Path, PathBuf};

use super::page::{self, Page};

/// A path from the root, without its `..`; `None` when it leaves the repository.
fn resolved(path: &Path) -> Option<PathBuf> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.iter().collect())
}

/// The problem with a link of the page at this path.
fn trouble(from: &Path, target: &str, pages: &std::collections::BTreeMap<PathBuf, Page>) -> Option<String> {
    if let Some((scheme, rest)) = target.split_once("://") {
        return (scheme != "https" || !rest.contains('.')).then(|| "is no address of the web by https".to_owned());
    }
    let (place, fragment) = target.split_once('#').unwrap_or((target, ""));
    let place = match place {
        "" => from.to_owned(),
        place => match resolved(&from.parent()?.join(place)) {
            Some(place) => place,
            None => return Some("leaves the repository".into()),
        },
    };
    if !super::path(place.to_str()?).exists() {
        return Some(format!("leads to {}, which is not there", place.display()));
    }
    if fragment.is_empty() {
        return None;
    }
    let anchored = pages.get(&place).is_some_and(|page| page.anchors.contains(fragment));
    (!anchored).then(|| format!("leads to no heading of {}", place.display()))
}

#[test]
fn every_link_and_anchor_leads_somewhere() {
    let pages = page::all();
    let mut count = 0;
    let mut troubles = Vec::new();
    for (path, page) in &pages {
        troubles.extend(page.undefined.iter().map(|name| format!("{}: [{name}] is not defined", path.display())));
        for target in &page.targets {
            count += 1;
            let trouble = trouble(path, target, &pages);
            troubles.extend(trouble.map(|trouble| format!("{}: {target} {trouble}", path.display())));
        }
    }
    assert!(troubles.is_empty(), "{}", troubles.join("\n"));
    assert!(pages.len() > 20 && count > 150, "{} pages, {count} links", pages.len());
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let pages = page::all();
    let from = Path::new("docs/README.md");
    for bad in
        ["how-to/dance.md", "how-to/deploy.md#dance", "#dance", "../../away.md", "http://contoso.com", "../LICENSE#x"]
    {
        assert!(trouble(from, bad, &pages).is_some(), "{bad}");
    }
    for good in
        ["how-to/deploy.md", "how-to/deploy.md#the-open-webhook", "#how-to", "../LICENSE", "https://contoso.com"]
    {
        assert_eq!(trouble(from, good, &pages), None, "{good}");
    }
    let page = Page::read("# A `B`, c_d\n\n## Again\n\n## Again\n\n[x][lost] [y](z) ![p](q.svg) `[n](m)`\n");
    assert_eq!(page.anchors.iter().collect::<Vec<_>>(), ["a-b-c_d", "again", "again-1"]);
    assert_eq!((page.targets, page.undefined), (vec!["z".into(), "q.svg".into()], vec!["lost".to_owned()]));
}

#[test]
fn the_index_has_every_page_and_the_main_page_leads_to_it() {
    let pages = page::all();
    let links = |from: &str| -> Vec<PathBuf> {
        let folder = Path::new(from).parent().unwrap();
        let targets = pages[Path::new(from)].targets.iter().map(|target| target.split('#').next().unwrap());
        targets.filter_map(|target| resolved(&folder.join(target))).collect()
    };
    let index = links("docs/README.md");
    for page in pages.keys().filter(|page| page.starts_with("docs") && *page != Path::new("docs/README.md")) {
        assert!(index.contains(page), "docs/README.md does not lead to {}", page.display());
    }
    let main = links("README.md");
    for page in
        ["docs/README.md", "docs/tutorial/first-escalation.md", "docs/explanation/architecture.md", "CONTRIBUTING.md"]
    {
        assert!(main.contains(&page.into()), "README.md does not lead to {page}");
    }
}

#[test]
fn the_main_page_is_one_page() {
    let text = super::file("README.md");
    assert!(text.lines().count() <= 180, "{} lines", text.lines().count());
}

#[test]
fn the_paths_that_pages_name_exist() {
    let pages = page::all();
    let tops = ["docs/", "functions/", "infra/", "shared/", "tests/"];
    let mut count = 0;
    for (path, page) in &pages {
        // A changelog tells of what is gone, too.
        for span in page.code_spans.iter().filter(|_| path != Path::new("CHANGELOG.md")) {
            // `<verb-noun>` and `NAME` stand for a name of the reader's.
            if tops.iter().any(|top| span.starts_with(top))
                && !span.contains(['<', ' ', '*', '{'])
                && !span.contains("NAME")
            {
                count += 1;
                assert!(super::path(span).exists(), "{}: there is no {span}", path.display());
            }
        }
    }
    assert!(count > 10, "{count}");
}
