//! The data actions that are shipped, executed as Genesys Cloud does, against the deployed bundle.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use data_action_runner::Engine;
use sandbox::data_actions::DataActions;
use sandbox::sandbox::Sandbox;
use sandbox::stand_ins::faults::Fault;
use sandbox::stand_ins::{AGENT_GENESYS_ID, AGENT_ID, Vendor};
use serde_json::{Value, json};

use crate::{alone, beside_others, click, conversation, number};

/// The engine that all of these tests share.
static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| Arc::new(Engine::start(|what| println!("{what}")).unwrap()));

/// The characters that have ever broken a template, JSON or a URL, except for spaces at the ends, which the bridge
/// removes.
const NASTY: &str =
    "O'Neill \"Q\" \\ / \n\r\t $ # $ {input.user} $!x #set($a = 1) #if(true) $kim.x ü 😀 \u{2028} %20+&=?";

/// The actions in an org of their own: no other test has their token.
pub(crate) fn imported(sandbox: &Sandbox) -> DataActions {
    DataActions::import(ENGINE.clone(), &sandbox.integration()).unwrap()
}

/// The actions with another setting.
pub(crate) fn imported_with(sandbox: &Sandbox, change: impl FnOnce(&mut data_action_runner::Settings)) -> DataActions {
    let mut settings = sandbox.integration();
    change(&mut settings);
    DataActions::import(ENGINE.clone(), &settings).unwrap()
}

/// The output of an action that must not fail.
pub(crate) async fn output(actions: &DataActions, name: &str, input: &Value) -> Value {
    let execution = actions.execute(name, input).await.unwrap();
    execution.outcome.unwrap_or_else(|failure| panic!("{name} failed: {failure:?}\n{}", execution.trace))
}

#[test]
fn each_action_does_what_its_name_says() {
    alone(async |sandbox| {
        let actions = imported(sandbox);
        let contract = contract::contract();
        assert_eq!(actions.names().collect::<BTreeSet<_>>(), contract::data_actions(&contract));

        let (conversation, number) = (conversation(), number());
        let input = json!({"user": AGENT_ID, "conversationId": conversation});
        let meeting = output(&actions, "Create meeting", &input).await;
        assert_eq!((&meeting["ok"], &meeting["code"]), (&json!(true), &json!("created")), "{meeting}");
        assert_eq!(meeting["onlineMeeting"]["joinUrl"], meeting["joinUrl"]);
        let input = json!({"toAddress": number, "joinUrl": meeting["joinUrl"], "conversationId": conversation});
        let sms = output(&actions, "Send SMS", &input).await;
        assert_eq!((&sms["status"], &sms["toAddress"]), (&json!("accepted"), &json!(number)), "{sms}");
        // The agent then uses the button that does both: it finds both.
        let both = output(&actions, "Escalate to Teams", &click(&conversation, &number)).await;
        assert_eq!((&both["code"], &both["smsStatus"]), (&json!("existing"), &json!("duplicate")), "{both}");
        assert_eq!((&both["joinUrl"], &both["smsMessageId"]), (&meeting["joinUrl"], &sms["messageId"]));
        assert_eq!((sandbox.world.online_meetings(&conversation), sandbox.world.texts_to(&number).len()), (1, 1));

        for (presence, shown) in [("ON_QUEUE", "Busy"), ("Offline", "Available")] {
            let input = json!({"userId": AGENT_GENESYS_ID, "systemPresence": presence});
            let presence = output(&actions, "Update presence", &input).await;
            assert_eq!((&presence["ok"], &presence["teamsUserId"]), (&json!(true), &json!(AGENT_ID)), "{presence}");
            assert_eq!(sandbox.world.presence_of(AGENT_ID).0, shown);
        }
    });
}

#[test]
fn the_actions_take_the_published_blueprints_inputs() {
    beside_others(async |sandbox| {
        let actions = imported(sandbox);
        let input = json!({
            "user": "kim@contoso.com", "startTime": "2026-12-04T18:00:00", "endTime": "2026-12-04T18:10:00",
            "timeZone": "Pacific Standard Time",
        });
        let meeting = output(&actions, "Create meeting", &input).await;
        assert_eq!(meeting["startTime"], "2026-12-05T02:00:00Z");
        let number = number();
        let input = json!({
            "fromAddress": "+13175550100", "toAddress": number, "toAddressMessengerType": "sms",
            "textBody": meeting["onlineMeeting"]["joinUrl"], "useExistingActiveConversation": false,
        });
        assert_eq!(output(&actions, "Send SMS", &input).await["ok"], true);
        assert_eq!(sandbox.world.texts_to(&number)[0].text, meeting["joinUrl"].as_str().unwrap());
    });
}

#[test]
fn every_text_arrives_unharmed() {
    beside_others(async |sandbox| {
        let actions = imported(sandbox);
        let number = number();
        let input = json!({"toAddress": number, "textBody": NASTY});
        assert_eq!(output(&actions, "Send SMS", &input).await["status"], "accepted");
        assert_eq!(sandbox.world.texts_to(&number)[0].text, NASTY);

        // A subject is one line, a name too; nothing else changes on the way to Graph and to the phone.
        let subject: String = NASTY.chars().filter(|c| !c.is_control()).collect();
        let in_the_request = format!("\"subject\":{}", json!(subject));
        let noticed = Fault::at(Vendor::Graph, &in_the_request);
        sandbox.world.faults.add(noticed);
        let input = json!({"user": AGENT_ID, "subject": NASTY, "conversationId": conversation()});
        assert_eq!(output(&actions, "Create meeting", &input).await["code"], "created");
        let unnoticed = sandbox.world.faults.all().into_iter().any(|fault| fault.matching == in_the_request);
        assert!(!unnoticed, "Graph got no request with {in_the_request}");

        for name in [
            "Kim \"Ace\" O'Neill",
            "a\\b\\\\c \\n \\u0041",
            "Zoë 😀 李",
            "$user.name #set($x = 1) $!y",
            "$kim.q ##x #end",
        ] {
            let number = self::number();
            let mut input = click(&conversation(), &number);
            input["agentName"] = json!(name);
            assert_eq!(output(&actions, "Escalate to Teams", &input).await["smsStatus"], "accepted");
            let text = &sandbox.world.texts_to(&number)[0].text;
            assert!(text.contains(&format!("Contoso: {name} invites you")), "{text}");
        }
    });
}

#[test]
fn what_comes_back_arrives_unharmed_too() {
    beside_others(async |sandbox| {
        let actions = imported(sandbox);
        // Genesys Cloud's own sentence, with the number in quotes, becomes a part of the message.
        let input = json!({"toAddress": number(), "fromAddress": "+13175550199", "textBody": "Hello"});
        let refused = output(&actions, "Send SMS", &input).await;
        assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("senderInvalid")), "{refused}");
        let direct = crate::post(sandbox, "/sms", &input).await;
        assert_eq!(refused["message"], direct.text("message"));
    });
}

#[test]
fn a_script_s_empty_and_missing_fields_are_the_same() {
    beside_others(async |sandbox| {
        let actions = imported(sandbox);
        let mut input = click(&conversation(), &number());
        for field in ["startTime", "endTime", "timeZone", "subject", "mode", "fromAddress", "language", "textBody"] {
            input[field] = json!("");
        }
        let with_empty = output(&actions, "Escalate to Teams", &input).await;
        assert_eq!((&with_empty["ok"], &with_empty["smsStatus"]), (&json!(true), &json!("accepted")), "{with_empty}");
    });
}
