//! The order of an open webhook, with a sender that shows a password.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::edge::tests::{event, lambda};
use crate::error::Code;

/// A vendor that is known by what its body begins with.
struct Password(&'static str);

/// What came after the password.
struct Known(Vec<u8>);

impl Sender for Password {
    type Verified = Known;

    type Answer = StatusAlone;

    const METHODS: &'static [Method] = &[Method::Get, Method::Post];

    const TAKEN: u16 = 200;

    async fn verify(&self, _cx: &RequestContext, request: Unverified) -> Result<Known, Error> {
        let body = request.into_body(64)?;
        match body.strip_prefix(self.0.as_bytes()) {
            Some(rest) => Ok(Known(rest.to_vec())),
            None => Err(Error::new(Code::UNAUTHORIZED, "It shows no password.")),
        }
    }
}

#[tokio::test]
async fn only_what_the_check_has_let_pass_reaches_the_handler() {
    let webhook = Webhook::of("test", Ok((Password("open sesame"), ())));
    let handled = AtomicUsize::new(0);
    let handle = async |(): &(), _: &RequestContext, Known(rest): Known| {
        assert!(rest.len() < 2, "the password stays with the check");
        handled.fetch_add(1, Ordering::SeqCst);
        Ok(())
    };
    let mut answers = Vec::new();
    for (method, body) in [("POST", "open sesame!"), ("GET", "open sesame"), ("POST", "sesame"), ("PUT", "open sesame")]
    {
        let response = webhook.answer(event(method, "", body), lambda(), handle).await;
        let allow = response.headers.get("allow").map(|names| names.to_str().unwrap().to_owned());
        answers.push((response.status_code, allow));
    }
    assert_eq!(answers, [(200, None), (200, None), (401, None), (405, Some("GET, POST".into()))]);
    assert_eq!(handled.load(Ordering::SeqCst), 2);
}
