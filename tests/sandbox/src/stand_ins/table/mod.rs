//! DynamoDB for a function that runs without the local cloud: tables whose key is `id`, in memory, with conditional writes.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html>, as far as the bridge writes such
//! expressions; any other is refused as invalid, like one that DynamoDB cannot read.

mod expression;

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Map, Value, json};

use expression::{Expression, Invalid, compare};

/// Attributes by name, each as DynamoDB writes it: `{"S": "text"}`, `{"N": "1"}`.
type Item = Map<String, Value>;

/// All tables' items, by table and id.
#[derive(Debug, Default)]
pub(super) struct Tables(BTreeMap<(String, String), Item>);

/// Why a request is not served.
enum TableRefusal {
    Invalid(String),
    ConditionFailed(Option<Item>),
}

impl From<Invalid> for TableRefusal {
    fn from(Invalid(what): Invalid) -> Self {
        Self::Invalid(what)
    }
}

impl IntoResponse for TableRefusal {
    fn into_response(self) -> Response {
        let body = match self {
            Self::Invalid(what) => json!({"__type": "com.amazon.coral.validate#ValidationException", "message": what}),
            Self::ConditionFailed(item) => {
                let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                let mut body = json!({"__type": kind, "message": "The conditional request failed"});
                if let Some(item) = item {
                    body["Item"] = item.into();
                }
                body
            }
        };
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    }
}

fn key(table: &Value, key: &Value) -> Result<(String, String), TableRefusal> {
    match (table.as_str(), key["id"]["S"].as_str()) {
        (Some(table), Some(id)) => Ok((table.to_owned(), id.to_owned())),
        _ => Err(TableRefusal::Invalid("The provided key element does not match the schema".into())),
    }
}

impl Tables {
    /// Serves a request for this operation.
    pub(super) fn answer(&mut self, operation: &str, request: &Value) -> Response {
        let answer = match operation {
            "GetItem" => self.get(request),
            "BatchGetItem" => self.get_batch(request),
            "PutItem" => self.put(request),
            "UpdateItem" => self.update(request),
            "DeleteItem" => self.delete(request),
            "Query" => self.query(request),
            _ => Err(TableRefusal::Invalid(format!("{operation} is none of the operations that are served here"))),
        };
        answer.map_or_else(IntoResponse::into_response, |answer| Json(answer).into_response())
    }

    fn get(&self, request: &Value) -> Result<Value, TableRefusal> {
        let item = self.0.get(&key(&request["TableName"], &request["Key"])?);
        Ok(item.map_or_else(|| json!({}), |item| json!({"Item": item})))
    }

    fn get_batch(&self, request: &Value) -> Result<Value, TableRefusal> {
        let mut responses = Map::new();
        for (table, wanted) in request["RequestItems"].as_object().into_iter().flatten() {
            let keys = wanted["Keys"].as_array().map(Vec::as_slice).unwrap_or_default();
            if !(1..=100).contains(&keys.len()) {
                return Err(TableRefusal::Invalid("1 to 100 keys at once".into()));
            }
            let mut found = Vec::new();
            for wanted in keys {
                found.extend(self.0.get(&key(&json!(table), wanted)?).cloned().map(Value::from));
            }
            responses.insert(table.clone(), found.into());
        }
        Ok(json!({"Responses": responses, "UnprocessedKeys": {}}))
    }

    fn put(&mut self, request: &Value) -> Result<Value, TableRefusal> {
        let place = key(&request["TableName"], &request["Item"])?;
        self.check(&place, request)?;
        let item = request["Item"].as_object().cloned().unwrap_or_default();
        let before = self.0.insert(place, item);
        Ok(returned(request, before, None))
    }

    fn update(&mut self, request: &Value) -> Result<Value, TableRefusal> {
        let place = key(&request["TableName"], &request["Key"])?;
        self.check(&place, request)?;
        let before = self.0.get(&place).cloned();
        let mut after = before.clone().or_else(|| request["Key"].as_object().cloned()).unwrap_or_default();
        Expression::of(request, "UpdateExpression").update(&mut after)?;
        self.0.insert(place, after.clone());
        Ok(returned(request, before, Some(after)))
    }

    fn delete(&mut self, request: &Value) -> Result<Value, TableRefusal> {
        let place = key(&request["TableName"], &request["Key"])?;
        self.check(&place, request)?;
        let before = self.0.remove(&place);
        Ok(returned(request, before, None))
    }

    /// The condition of a write.
    fn check(&self, place: &(String, String), request: &Value) -> Result<(), TableRefusal> {
        let item = self.0.get(place);
        let none = Item::new();
        if Expression::of(request, "ConditionExpression").holds(item.unwrap_or(&none))? {
            return Ok(());
        }
        let brings_item_back = request["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD";
        Err(TableRefusal::ConditionFailed(item.filter(|_| brings_item_back).cloned()))
    }

    /// What an index has of a key, by its second part. An index has the items that have its key's attributes; its keys are
    /// those that the condition names.
    fn query(&self, request: &Value) -> Result<Value, TableRefusal> {
        let condition = Expression::of(request, "KeyConditionExpression");
        let sorted_by = condition.last_name();
        let mut found = Vec::new();
        for ((table, _), item) in &self.0 {
            if request["TableName"] == table.as_str() && condition.holds(item)? {
                found.push(item);
            }
        }
        let part = |item: &Item| item.get(&sorted_by).cloned().unwrap_or_default();
        found.sort_by(|one, other| compare(&part(one), &part(other)).unwrap_or(std::cmp::Ordering::Equal));
        let limit = request["Limit"].as_u64().and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX);
        found.truncate(limit);
        Ok(json!({"Items": found, "Count": found.len()}))
    }
}

/// The attributes that a write gives back.
fn returned(request: &Value, before: Option<Item>, after: Option<Item>) -> Value {
    let attributes = match request["ReturnValues"].as_str() {
        Some("ALL_OLD") => before,
        Some("ALL_NEW") => after,
        _ => None,
    };
    attributes.map_or_else(|| json!({}), |attributes| json!({"Attributes": attributes}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(tables: &mut Tables, id: &str, place: u32) {
        let item = json!({"id": {"S": id}, "turn": {"S": "a"}, "at": {"N": place.to_string()}});
        assert!(tables.put(&json!({"TableName": "t", "Item": item})).is_ok());
    }

    #[test]
    fn a_write_is_made_when_its_condition_holds_and_brings_the_old_item_back_when_not() {
        let mut tables = Tables::default();
        let update = |version: u32| {
            json!({
                "TableName": "t", "Key": {"id": {"S": "a"}}, "ReturnValues": "ALL_OLD",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                "UpdateExpression": "SET version = :version, #first = if_not_exists(#first, :version) REMOVE gone, other",
                "ConditionExpression": "(attribute_not_exists(version) OR version < :version) AND NOT version = :wrong",
                "ExpressionAttributeNames": {"#first": "first"},
                "ExpressionAttributeValues": {":version": {"N": version.to_string()}, ":wrong": {"N": "7"}},
            })
        };
        let kept = |version: u32, first: u32| json!({"id": {"S": "a"}, "version": {"N": version.to_string()}, "first": {"N": first.to_string()}});
        assert_eq!(tables.update(&update(9)).ok(), Some(json!({})));
        assert_eq!(tables.update(&update(10)).ok(), Some(json!({"Attributes": kept(9, 9)})));
        let Err(TableRefusal::ConditionFailed(Some(item))) = tables.update(&update(9)) else { panic!() };
        assert_eq!(Value::from(item), kept(10, 9));
        let read = tables.get(&json!({"TableName": "t", "Key": {"id": {"S": "a"}}}));
        assert_eq!(read.ok(), Some(json!({"Item": kept(10, 9)})));
    }

    #[test]
    fn a_number_is_added_to_what_is_there_or_to_nothing() {
        let mut tables = Tables::default();
        let add = |number: i32| {
            json!({
                "TableName": "t", "Key": {"id": {"S": "a"}}, "UpdateExpression": "REMOVE x ADD tries :n, doubts :n",
                "ExpressionAttributeValues": {":n": {"N": number.to_string()}},
            })
        };
        for number in [2, -1] {
            assert!(tables.update(&add(number)).is_ok());
        }
        let read = tables.get(&json!({"TableName": "t", "Key": {"id": {"S": "a"}}})).ok();
        let kept = json!({"id": {"S": "a"}, "tries": {"N": "1"}, "doubts": {"N": "1"}});
        assert_eq!(read, Some(json!({"Item": kept})));
    }

    #[test]
    fn an_index_gives_what_has_its_keys_in_their_order() {
        let mut tables = Tables::default();
        for (id, place) in [("b", 20), ("a", 100), ("c", 3)] {
            put(&mut tables, id, place);
        }
        let query = json!({
            "TableName": "t", "IndexName": "i", "KeyConditionExpression": "turn = :turn AND at <= :at", "Limit": 2,
            "ExpressionAttributeValues": {":turn": {"S": "a"}, ":at": {"N": "99"}},
        });
        let found = tables.query(&query).unwrap_or_else(|_| panic!());
        let ids: Vec<_> = found["Items"].as_array().unwrap().iter().map(|item| &item["id"]["S"]).collect();
        assert_eq!(ids, ["c", "b"]);
    }

    #[test]
    fn what_dynamodb_could_not_read_is_refused() {
        let mut tables = Tables::default();
        for expression in ["SET a = :missing", "SET a :b", "ADD a", "TURN a", "SET a = :b WHERE c"] {
            let request = json!({
                "TableName": "t", "Key": {"id": {"S": "a"}}, "UpdateExpression": expression,
                "ExpressionAttributeValues": {":b": {"N": "1"}},
            });
            assert!(matches!(tables.update(&request), Err(TableRefusal::Invalid(_))), "{expression}");
        }
    }
}
