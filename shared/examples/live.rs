use bridge::config::Environment;
use bridge::http::*;
use bridge::notification::event_bus::*;
use bridge::notification::media::*;
use bridge::startup::Startup;
use std::time::Duration;
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut env = Environment::of_process();
    let mut s = Startup::load(&mut env).await.unwrap();
    let settings = MediaSettings::read(s.env).unwrap();
    let store = s.media(&settings).unwrap();
    let bus = s.event_bus().unwrap().unwrap();
    let cx = RequestContext::new("x", Deadline::after(Duration::from_secs(20)));
    let media = Media {
        content_type: "image/png".into(),
        bytes: vec![1, 2, 3],
        sha256: "039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81".into(),
        name: "image-1.png".into(),
    };
    println!("{:?}", store.put(&cx, media).await);
    let change = serde_json::from_str(r##"{"subscriptionId":"s","tenantId":"t","changeType":"created","resource":"r","resourceType":"#Microsoft.Graph.chatMessage","etag":"","receivedAt":"2026-05-04T10:00:00Z"}"##).unwrap();
    println!("{:?}", bus.publish(&cx, &change, Some(b"{}")).await);
}
