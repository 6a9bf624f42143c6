//! The events of `tests/events`, which `cargo lambda invoke` takes.

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use bridge::edge::HttpEvent;
use serde_json::Value;

use crate::file;

/// The body of a function's event, which is one of this route, as AWS's own type of event understands it and as the edge's
/// lean one does.
pub(crate) fn body(function: &str, path: &str) -> Value {
    // Round-tripped: nothing of the file is lost on the way.
    let text = file(&format!("tests/events/{function}.json"));
    let event: ApiGatewayV2httpRequest = serde_json::from_str(&text).unwrap();
    assert_eq!(event.raw_path.as_deref(), Some(path));
    let (sent, understood): (Value, Value) =
        (serde_json::from_str(&text).unwrap(), serde_json::to_value(&event).unwrap());
    for name in ["rawPath", "routeKey", "body", "isBase64Encoded", "version"] {
        assert_eq!(sent[name], understood[name], "{name}");
    }
    let claims = "/requestContext/authorizer/jwt/claims";
    assert_eq!(sent.pointer(claims), understood.pointer(claims));

    let lean: HttpEvent = serde_json::from_str(&text).unwrap();
    assert_eq!((&lean.body, &lean.request_context.request_id), (&event.body, &event.request_context.request_id));
    let correlation_id = event.headers["inin-correlation-id"].to_str().unwrap();
    assert_eq!(lean.headers.genesys_correlation_id.as_deref(), Some(correlation_id));
    let roles = lean.request_context.authorizer.unwrap().jwt.unwrap().claims.roles;
    assert_eq!(roles.as_ref(), event.request_context.authorizer.unwrap().jwt.unwrap().claims.get("roles"));
    serde_json::from_str(lean.body.as_deref().unwrap()).unwrap()
}
