//! One function, held to its part of the contract.

use std::collections::{BTreeMap, BTreeSet};

use bridge::config::Environment;
use bridge::edge::Route;
use bridge::fields::{Fields, Kind};
use serde_json::{Value, json};

use crate::{Served, compare, contract, event, paths, resolved, roles, routes};

/// What a function says of itself.
#[derive(Debug)]
pub struct Held {
    /// Its name and the roles that it asks for.
    pub route: Route,
    /// Reads a request's fields as the handler does, with settings from this environment; `None` when something is missing
    /// or wrong.
    pub read: fn(&mut Fields, &mut Environment) -> Option<()>,
    /// A request that has everything.
    pub complete: Value,
    /// Which of its fields can be missing although nothing says so in `required`: where one of several will do, or the
    /// handler has a rule of its own, which its tests hold.
    pub otherwise: &'static [&'static str],
    /// The envelope with the route's own fields in it: see [`envelope`](crate::envelope).
    pub answer: Value,
}

/// What was read of a request: the fields that were asked for, and what is wrong with it.
struct Sent {
    asked: BTreeMap<&'static str, Kind>,
    outcome: Result<(), String>,
}

impl Held {
    /// Holds the function to the contract: the request's fields, those that are required, the examples, the answer, the
    /// roles, and the event of `tests/events`.
    ///
    /// # Panics
    /// When the two differ, with what differs.
    pub fn check(&self) {
        let contract = contract();
        let Served { method, path, .. } = self.served();
        assert_eq!(method, self.route.method.as_str(), "{path}");
        assert!(paths(&contract).contains(&path), "{path} is open, or not in the contract");
        let operation = &contract["paths"][&path][method.to_lowercase()];
        let content = &operation["requestBody"]["content"]["application/json"];
        let schema = resolved(&contract, &content["schema"]);

        self.check_fields(&contract, &path, schema);
        self.check_required(&path, schema);
        for (name, example) in content["examples"].as_object().unwrap() {
            let sent = self.read(&example["value"]);
            assert_eq!(sent.outcome, Ok(()), "{path} {name}");
            for field in example["value"].as_object().unwrap().keys() {
                assert!(sent.asked.contains_key(field.as_str()), "{path} {name} {field}");
            }
        }
        for status in ["200", "4XX", "5XX"] {
            let response = resolved(&contract, &operation["responses"][status]);
            let schema = resolved(&contract, &response["content"]["application/json"]["schema"]);
            compare(&contract, &format!("{path} {status}"), schema, &self.answer);
        }
        assert_eq!(roles(&contract, &path), self.route.roles.iter().copied().collect(), "{path}: app roles");
        let body = event::body(self.route.function, &path);
        assert_eq!(self.read(&body).outcome, Ok(()), "{path}: the event of tests/events");
    }

    /// The function's route in the template, which it has one of.
    fn served(&self) -> Served {
        let mut own: Vec<Served> =
            routes().into_iter().filter(|served| served.function == self.route.function).collect();
        assert_eq!(own.len(), 1, "the template gives {} these routes: {own:?}", self.route.function);
        own.remove(0)
    }

    fn read(&self, body: &Value) -> Sent {
        let mut env = Environment::of([("DEFAULT_ORGANIZER", "bridge@contoso.com"), ("SMS_FROM", "+13175550100")]);
        let mut fields = Fields::parse(body.to_string().as_bytes()).unwrap();
        let read = (self.read)(&mut fields, &mut env);
        let asked = fields.asked().iter().copied().collect();
        Sent { asked, outcome: fields.finish(read).map_err(|error| error.message) }
    }

    fn check_fields(&self, contract: &Value, path: &str, schema: &Value) {
        let properties = schema["properties"].as_object().unwrap();
        let kind = |schema| resolved(contract, schema)["type"].as_str().unwrap();
        let documented: BTreeMap<&str, &str> =
            properties.iter().map(|(name, schema)| (name.as_str(), kind(schema))).collect();
        let read = self.read(&json!({})).asked.into_iter().map(|(name, kind)| {
            let kind = match kind {
                Kind::Text => "string",
                Kind::Flag => "boolean",
                Kind::WholeNumber => "integer",
            };
            (name, kind)
        });
        assert_eq!(documented, read.collect(), "{path}");
    }

    fn check_required(&self, path: &str, schema: &Value) {
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(self.read(&self.complete).outcome, Ok(()), "{path}");
        let complete = self.complete.as_object().unwrap();
        for name in complete.keys().filter(|name| !self.otherwise.contains(&name.as_str())) {
            let mut without = complete.clone();
            without.remove(name);
            let complaint = self.read(&without.into()).outcome.err().unwrap_or_default();
            let missed = complaint.contains(&format!("`{name}`: required"));
            assert_eq!(missed, required.contains(name.as_str()), "{path} {name}: {complaint}");
        }
    }
}
