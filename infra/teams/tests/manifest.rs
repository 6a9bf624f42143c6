//! The manifest against Microsoft's schema, which is kept in `schema/` as it was published: in npm's
//! `@microsoft/app-manifest` 1.1.2, under the MIT licence. That package only names the licence; the text is from its
//! predecessor, `@microsoft/teams-manifest`.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use jsonschema::Validator;
use serde_json::{Value, json};
use teams_app::app::{App, DEVELOPER_LIMIT, NAME_LIMIT, Options, URL_LIMIT};
use teams_app::command::COMMANDS;
use teams_app::manifest::Manifest;

fn schema() -> Value {
    let path = checkout::root().join("infra/teams/schema/MicrosoftTeams.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn validator() -> Validator {
    jsonschema::draft4::options().should_validate_formats(true).build(&schema()).unwrap()
}

fn options() -> Options {
    let text = |text: &str| Some(text.to_owned());
    Options {
        app_id: text("3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
        developer: text("Contoso"),
        website: text("https://contoso.com/teams"),
        privacy: text("https://contoso.com/privacy"),
        terms: text("https://contoso.com/terms"),
        ..Options::default()
    }
}

fn manifest(options: &Options) -> Value {
    serde_json::from_str(&Manifest::of(&App::read(options).unwrap()).json().unwrap()).unwrap()
}

#[track_caller]
fn assert_valid(manifest: &Value) {
    let mistakes: Vec<String> = validator().iter_errors(manifest).map(|error| error.to_string()).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn the_schema_takes_what_is_written_with_and_without_each_option() {
    for commands in [None, Some("all"), Some("help"), Some("list, end")] {
        for rsc in [false, true] {
            let manifest = manifest(&Options { commands: commands.map(str::to_owned), rsc, ..options() });
            assert_valid(&manifest);
        }
    }
    // Draft 4 knows no `const`, by which the schema says its version.
    let (schema, manifest) = (schema(), manifest(&options()));
    let version = schema["properties"]["manifestVersion"]["const"].as_str().unwrap();
    assert_eq!(manifest["manifestVersion"], version);
    assert!(manifest["$schema"].as_str().unwrap().contains(&format!("/v{version}/")));
}

#[test]
fn the_schema_takes_the_longest_texts_and_the_limits_are_its_own() {
    let text = |text: String| Some(text);
    let longest = Options {
        // Letters of two bytes each: characters count.
        name: text("ü".repeat(NAME_LIMIT)),
        developer: text("ß".repeat(DEVELOPER_LIMIT)),
        website: text(format!("https://contoso.com/{}", "a".repeat(URL_LIMIT - 20))),
        version: text("12.0.340".into()),
        commands: text("all".into()),
        rsc: true,
        ..options()
    };
    assert_valid(&manifest(&longest));
    let schema = schema();
    for (limit, place) in [
        (NAME_LIMIT, "/properties/name/properties/short/maxLength"),
        (DEVELOPER_LIMIT, "/properties/developer/properties/name/maxLength"),
        (URL_LIMIT, "/definitions/httpsUrl/maxLength"),
    ] {
        assert_eq!(schema.pointer(place), Some(&json!(limit)), "{place}");
    }
    let most = "/properties/bots/items/properties/commandLists/items/properties/commands/maxItems";
    assert!(COMMANDS.len() <= schema.pointer(most).unwrap().as_u64().unwrap() as usize);
}

#[test]
fn the_schema_refuses_what_teams_would() {
    let (validator, good) = (validator(), manifest(&Options { rsc: true, commands: Some("all".into()), ..options() }));
    for (place, bad) in [
        ("/id", json!("no-guid")),
        ("/version", json!(1.0)),
        ("/accentColor", json!("teal")),
        ("/name/short", json!("a".repeat(NAME_LIMIT + 1))),
        ("/developer/name", json!("a".repeat(DEVELOPER_LIMIT + 1))),
        ("/developer/websiteUrl", json!("contoso.com")),
        ("/bots/0/scopes/0", json!("everybody")),
        ("/bots/0/commandLists/0/commands/0", json!({ "title": "list" })),
        ("/authorization/permissions/resourceSpecific/0/type", json!("All")),
        ("/icons", json!({ "color": "color.png", "outline": "outline.png", "huge": "huge.png" })),
    ] {
        let mut manifest = good.clone();
        *manifest.pointer_mut(place).unwrap() = bad;
        assert!(!validator.is_valid(&manifest), "{place}");
    }
}

#[test]
fn the_bot_is_in_every_scope_and_offers_no_command_unasked() {
    let manifest = manifest(&options());
    let bot = &manifest["bots"][0];
    assert_eq!(bot["botId"], "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
    assert_eq!(bot["scopes"], json!(["personal", "groupChat", "team"]));
    assert_eq!(bot.get("commandLists"), None);
    // Whoever installs the app by Microsoft Graph must be this registration, and must not be asked for consent.
    assert_eq!(manifest["webApplicationInfo"]["id"], bot["botId"]);
    assert_eq!(manifest.get("authorization"), None);
    assert!(manifest["description"]["full"].as_str().unwrap().ends_with("reads the messages that mention it."));
}

#[test]
fn the_commands_of_experts_are_offered_in_personal_chats_alone() {
    let titles = |commands: &str| -> Vec<(String, Vec<String>)> {
        let manifest = manifest(&Options { commands: Some(commands.into()), ..options() });
        let lists = manifest["bots"][0]["commandLists"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |list: &Value| {
            assert_eq!(list["scopes"].as_array().unwrap().len(), 1);
            let commands = list["commands"].as_array().unwrap();
            (text(&list["scopes"][0]), commands.iter().map(|command| text(&command["title"])).collect())
        };
        lists.iter().map(list).collect()
    };
    let list =
        |scope: &str, commands: &[&str]| (scope.to_owned(), commands.iter().map(|&name| name.to_owned()).collect());
    let all = ["sign in", "sign out", "list", "accept", "end", "transfer", "history", "meeting", "help"];
    let in_groups = ["end", "help"];
    assert_eq!(titles("all"), [list("personal", &all), list("groupChat", &in_groups), list("team", &in_groups)]);
    assert_eq!(titles("meeting,sign in"), [list("personal", &["sign in", "meeting"])]);
}

#[test]
fn rsc_asks_for_every_message_and_says_so() {
    let manifest = manifest(&Options { rsc: true, ..options() });
    let asked = &manifest["authorization"]["permissions"]["resourceSpecific"];
    assert_eq!(
        *asked,
        json!([
            { "name": "ChannelMessage.Read.Group", "type": "Application" },
            { "name": "ChatMessage.Read.Chat", "type": "Application" },
        ])
    );
    assert!(manifest["description"]["full"].as_str().unwrap().ends_with("the bot reads every message."));
}

#[test]
fn packages_for_one_bot_are_one_app_and_for_two_bots_two() {
    let id = |options: &Options| manifest(options)["id"].clone();
    let update = Options { version: Some("1.0.1".into()), rsc: true, name: Some("Other".into()), ..options() };
    assert_eq!(id(&options()), id(&update));
    // However the id is written, it is the same bot.
    let written_otherwise = Options { app_id: Some("{3F2504E0-4F89-41D3-9A0C-0305E82C3301}".into()), ..options() };
    assert_eq!(manifest(&options()), manifest(&written_otherwise));
    let other = Options { app_id: Some("3f2504e0-4f89-41d3-9a0c-0305e82c3302".into()), ..options() };
    assert_ne!(id(&options()), id(&other));
    assert_ne!(id(&options()), manifest(&options())["bots"][0]["botId"]);
}

#[test]
fn each_mistake_is_told_with_its_remedy() {
    let app = |change: &dyn Fn(&mut Options)| {
        let mut options = options();
        change(&mut options);
        App::read(&options).map(|_| ()).map_err(|trouble| trouble.to_string())
    };
    let given = |value: &str| Some(value.to_owned());
    let missing_id = app(&|options| options.app_id = None).unwrap_err();
    assert!(missing_id.starts_with("--app-id is missing. Copy the Application (client) ID"), "{missing_id}");
    for id in ["3f2504e0", "", "00000000-0000-0000-0000-000000000000", "3f2504e0-4f89-41d3-9a0c-0305e82c330g"] {
        let said = app(&|options| options.app_id = given(id)).unwrap_err();
        assert!(said.starts_with(&format!("--app-id is no GUID: `{id}`. Copy")), "{said}");
    }
    for name in [" ", "a\nb", &"a".repeat(31)] {
        assert!(app(&|options| options.name = given(name)).unwrap_err().starts_with("--name "), "{name}");
    }
    let long = app(&|options| options.developer = given(&"a".repeat(33))).unwrap_err();
    assert!(long.starts_with("--developer has 33 characters, and Teams takes 32. Shorten it"), "{long}");
    for version in ["1", "1.0", "1.0.0.0", "1.0.01", "1.0.x", "1.0.", "v1.0.0", "1.0.-1", "1.+1.0"] {
        let said = app(&|options| options.version = given(version)).unwrap_err();
        assert!(said.starts_with("--app-version is not three numbers"), "{said}");
    }
    type Field = fn(&mut Options) -> &mut Option<String>;
    let field: [(&str, Field); 3] = [
        ("--website", |options| &mut options.website),
        ("--privacy", |options| &mut options.privacy),
        ("--terms", |options| &mut options.terms),
    ];
    for (option, field) in field {
        let long = format!("https://contoso.com/{}", "a".repeat(URL_LIMIT - 19));
        let bad = [
            "http://contoso.com",
            "contoso.com",
            "mailto:kim@contoso.com",
            "https://",
            "https://kim:x@contoso.com",
            &long,
        ];
        for value in [None].into_iter().chain(bad.map(given)) {
            let said = app(&|options| *field(options) = value.clone()).unwrap_err();
            assert!(said.starts_with(option) && said.contains("Give the address of the page "), "{said}");
        }
        let secret = app(&|options| *field(options) = given("https://kim:hush@contoso.com")).unwrap_err();
        assert!(!secret.contains("hush"), "{secret}");
    }
    let unknown = app(&|options| options.commands = given("list,dance")).unwrap_err();
    assert!(unknown.starts_with("--commands has no command `dance`. There are: sign in, "), "{unknown}");

    let all = App::read(&Options { name: given(""), ..Options::default() }).unwrap_err().to_string();
    let options: Vec<&str> = all.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(options, ["--app-id", "--name", "--developer", "--website", "--privacy", "--terms"]);
}
