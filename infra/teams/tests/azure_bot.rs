//! The Bicep file, parsed by a grammar of its language: no Azure is at hand that would refuse it.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use std::collections::BTreeSet;

use tree_sitter::{Node, Parser, Tree};

fn parsed(text: &str) -> Tree {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_bicep::LANGUAGE.into()).unwrap();
    parser.parse(text, None).unwrap()
}

/// The texts of every node of this kind.
fn every<'a>(text: &'a str, node: Node<'_>, kind: &str) -> Vec<&'a str> {
    let own = (node.kind() == kind).then(|| &text[node.byte_range()]);
    let children = (0..node.child_count()).filter_map(|child| node.child(child as u32));
    own.into_iter().chain(children.flat_map(|child| every(text, child, kind))).collect()
}

/// The part of a text after its first `word ` up to a space, as a declaration names itself.
fn name<'a>(declaration: &'a str, word: &str) -> &'a str {
    declaration.split_once(&format!("{word} ")).unwrap().1.split(' ').next().unwrap()
}

#[test]
fn the_file_is_bicep_and_uses_every_parameter_and_no_other() {
    let text = std::fs::read_to_string(checkout::root().join("infra/teams/azure-bot.bicep")).unwrap();
    let tree = parsed(&text);
    assert!(!tree.root_node().has_error(), "{}", tree.root_node().to_sexp());

    let parameters: BTreeSet<&str> = every(&text, tree.root_node(), "parameter_declaration")
        .into_iter()
        .map(|declaration| name(declaration, "param"))
        .collect();
    assert_eq!(parameters, BTreeSet::from(["name", "displayName", "appId", "tenantId", "bridgeUrl"]));

    let resources = every(&text, tree.root_node(), "resource_declaration");
    let [bot, teams]: [&str; 2] = resources.try_into().unwrap();
    assert!(bot.starts_with("resource bot 'Microsoft.BotService/botServices@"), "{bot}");
    assert!(teams.starts_with("resource teams 'Microsoft.BotService/botServices/channels@"), "{teams}");
    for line in [
        "name: name",
        "displayName: displayName",
        "endpoint: '${bridgeUrl}/teams/messages'",
        "msaAppId: appId",
        "msaAppTenantId: tenantId",
        "msaAppType: 'SingleTenant'",
    ] {
        assert!(bot.contains(&format!(" {line}\n")), "{line}");
    }
    for line in ["parent: bot", "name: 'MsTeamsChannel'", "channelName: 'MsTeamsChannel'"] {
        assert!(teams.contains(&format!(" {line}\n")), "{line}");
    }

    let broken = text.replacen("  sku: {\n", "  sku {\n", 1);
    assert!(broken != text && parsed(&broken).root_node().has_error());
}
