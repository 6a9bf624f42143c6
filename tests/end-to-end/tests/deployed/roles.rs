//! The permissions of the deployed roles on the state table, as the local AWS judges them.

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::{Client, Config};
use bridge::store::kind;
use sandbox::cloud::{REGION, STACK};
use sandbox::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::beside_others;

async fn call(sandbox: &Sandbox, service: &str, operation: &str, parameters: Value) -> Value {
    sandbox.cloud.cli().call(service, operation, &[parameters]).await.unwrap().remove(0)
}

/// A client with the permissions of the function's role.
async fn as_function(sandbox: &Sandbox, function: &str) -> Client {
    let name = format!("{STACK}-{function}");
    let configured = call(sandbox, "lambda", "get_function_configuration", json!({"FunctionName": name})).await;
    let role = configured["Role"].as_str().unwrap().rsplit('/').next().unwrap();
    let policy = call(sandbox, "iam", "get_role_policy", json!({"RoleName": role, "PolicyName": "Duties"})).await;
    let document = policy["PolicyDocument"].to_string();
    call(sandbox, "iam", "create_user", json!({"UserName": name})).await;
    let duties = json!({"UserName": name, "PolicyName": "Duties", "PolicyDocument": document});
    call(sandbox, "iam", "put_user_policy", duties).await;
    let made = call(sandbox, "iam", "create_access_key", json!({"UserName": name})).await;
    let [id, secret] = ["AccessKeyId", "SecretAccessKey"].map(|part| made["AccessKey"][part].as_str().unwrap());
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .endpoint_url(&sandbox.cloud.endpoint)
        .build();
    Client::from_conf(config)
}

#[test]
fn a_function_reaches_the_items_of_its_own_kinds_and_no_others() {
    beside_others(async |sandbox| {
        for (function, own, foreign) in
            [("send-sms", kind::SMS, kind::PRESENCE), ("process-notification", kind::HEARD, kind::SUBSCRIPTION)]
        {
            let client = as_function(sandbox, function).await;
            // The condition fails, so that nothing is written by whoever may write.
            let update = async |kind: &str| {
                let request = client
                    .update_item()
                    .table_name(sandbox.output("StateTable"))
                    .key("id", AttributeValue::S(format!("{kind}#nobody")))
                    .condition_expression("attribute_exists(id)");
                request.send().await.unwrap_err().code().unwrap_or_default().to_owned()
            };
            assert_eq!(update(own).await, "ConditionalCheckFailedException", "{function} may reach {own}");
            assert_eq!(update(foreign).await, "AccessDeniedException", "{function} must not reach {foreign}");
        }
    });
}
