//! DynamoDB's expressions: conditions and updates over an item's attributes.

use std::cmp::Ordering;

use serde_json::Value;

use super::Item;

/// An expression that cannot be read, or uses what is not served here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invalid(pub(super) String);

/// A request's expression with its names and values. A condition that is not there holds.
pub(super) struct Expression<'a> {
    tokens: Vec<String>,
    names: &'a Value,
    values: &'a Value,
}

fn number(value: &Value) -> Option<f64> {
    value["N"].as_str()?.parse().ok()
}

/// The order of two attributes of one type.
pub(super) fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.partial_cmp(&other),
        _ => Some(one["S"].as_str()?.cmp(other["S"].as_str()?)),
    }
}

impl<'a> Expression<'a> {
    /// The expression that the request has under this name.
    pub(super) fn of(request: &'a Value, name: &str) -> Self {
        let mut tokens: Vec<String> = Vec::new();
        let mut word = String::new();
        for character in request[name].as_str().unwrap_or_default().chars() {
            if character.is_alphanumeric() || "_:#.".contains(character) {
                word.push(character);
                continue;
            }
            tokens.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
            match (tokens.last_mut(), character) {
                // `<=`, `>=` and `<>` are one token each.
                (Some(last), '=' | '>') if last == "<" || (last == ">" && character == '=') => last.push(character),
                (_, character) if !character.is_whitespace() => tokens.push(character.into()),
                _ => {}
            }
        }
        tokens.extend(Some(word).filter(|word| !word.is_empty()));
        Self { tokens, names: &request["ExpressionAttributeNames"], values: &request["ExpressionAttributeValues"] }
    }

    /// The name of the last attribute that is compared.
    pub(super) fn last_name(&self) -> String {
        let is_name = |token: &&String| token.starts_with(|c: char| c.is_alphabetic() || c == '#');
        self.tokens.iter().rfind(is_name).map(|token| self.name(token)).unwrap_or_default()
    }

    /// Whether the condition holds for an item.
    pub(super) fn holds(&self, item: &Item) -> Result<bool, Invalid> {
        if self.tokens.is_empty() {
            return Ok(true);
        }
        let mut reader = Reader { expression: self, item, next: 0 };
        let holds = reader.any()?;
        if reader.next < self.tokens.len() { Err(reader.unexpected()) } else { Ok(holds) }
    }

    /// Changes an item as the update says. All operands are those of before.
    pub(super) fn update(&self, item: &mut Item) -> Result<(), Invalid> {
        let before = item.clone();
        let mut reader = Reader { expression: self, item: &before, next: 0 };
        let mut clause = reader.token()?.to_owned();
        loop {
            let name = reader.token()?;
            let name = self.name(name);
            match clause.as_str() {
                "SET" => {
                    reader.expect("=")?;
                    let value = reader.operand()?.ok_or_else(|| reader.unexpected())?;
                    item.insert(name, value);
                }
                "REMOVE" => drop(item.remove(&name)),
                // Without a comparison sign; an attribute that is not there counts as 0.
                "ADD" => {
                    let added = reader.operand()?.as_ref().and_then(number).ok_or_else(|| reader.unexpected())?;
                    let sum = before.get(&name).and_then(number).unwrap_or_default() + added;
                    item.insert(name, serde_json::json!({"N": sum.to_string()}));
                }
                _ => return Err(Invalid(format!("{clause} is no clause that is served here"))),
            }
            match reader.token() {
                Ok(",") => {}
                Ok(other @ ("SET" | "REMOVE" | "ADD")) => clause = other.to_owned(),
                Ok(_) => return Err(reader.unexpected()),
                Err(_) => return Ok(()),
            }
        }
    }

    fn name(&self, token: &str) -> String {
        self.names.get(token).and_then(Value::as_str).unwrap_or(token).to_owned()
    }
}

/// Reads an expression from left to right.
struct Reader<'a> {
    expression: &'a Expression<'a>,
    item: &'a Item,
    next: usize,
}

impl<'a> Reader<'a> {
    fn token(&mut self) -> Result<&'a str, Invalid> {
        let token = self.expression.tokens.get(self.next).ok_or_else(|| Invalid("the expression ends early".into()))?;
        self.next += 1;
        Ok(token)
    }

    fn takes(&mut self, token: &str) -> bool {
        let is_next = self.expression.tokens.get(self.next).is_some_and(|next| next == token);
        self.next += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, token: &str) -> Result<(), Invalid> {
        if self.takes(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> Invalid {
        Invalid(format!("unexpected token {} of {:?}", self.next, self.expression.tokens))
    }

    fn any(&mut self) -> Result<bool, Invalid> {
        let mut holds = self.all()?;
        while self.takes("OR") {
            holds |= self.all()?;
        }
        Ok(holds)
    }

    fn all(&mut self) -> Result<bool, Invalid> {
        let mut holds = self.one()?;
        while self.takes("AND") {
            holds &= self.one()?;
        }
        Ok(holds)
    }

    fn one(&mut self) -> Result<bool, Invalid> {
        if self.takes("NOT") {
            return self.one().map(|holds| !holds);
        }
        if self.takes("(") {
            let holds = self.any()?;
            return self.expect(")").map(|()| holds);
        }
        for (function, expected) in [("attribute_exists", true), ("attribute_not_exists", false)] {
            if self.takes(function) {
                self.expect("(")?;
                let name = self.token()?;
                let exists = self.item.contains_key(&self.expression.name(name));
                return self.expect(")").map(|()| exists == expected);
            }
        }
        let one = self.operand()?;
        let comparison = self.token()?;
        let other = self.operand()?;
        // What is not there compares with nothing.
        let (Some(one), Some(other)) = (one, other) else { return Ok(comparison == "<>") };
        let order = compare(&one, &other);
        Ok(match comparison {
            "=" => one == other,
            "<>" => one != other,
            "<" => order == Some(Ordering::Less),
            "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            ">" => order == Some(Ordering::Greater),
            ">=" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            _ => return Err(self.unexpected()),
        })
    }

    /// A value of the request, or an attribute of the item, if it has it.
    fn operand(&mut self) -> Result<Option<Value>, Invalid> {
        let token = self.token()?;
        if token == "if_not_exists" {
            self.expect("(")?;
            let there = self.operand()?;
            self.expect(",")?;
            let otherwise = self.operand()?;
            self.expect(")")?;
            return Ok(there.or(otherwise));
        }
        if token.starts_with(':') {
            let value = self.expression.values.get(token);
            return value.cloned().map(Some).ok_or_else(|| Invalid(format!("{token} has no value")));
        }
        if !token.starts_with(|c: char| c.is_alphabetic() || c == '#') {
            return Err(self.unexpected());
        }
        Ok(self.item.get(&self.expression.name(token)).cloned())
    }
}
