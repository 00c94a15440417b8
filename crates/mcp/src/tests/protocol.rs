use std::sync::Arc;

use access::Scope;
use rmcp::{
    ServiceExt,
    model::CallToolRequestParams,
    service::{RoleClient, RunningService},
};
use serde_json::{Value, json};

use super::{Stand, caller};
use crate::{AgentServer, Listener};

async fn connect(stand: &Stand, scopes: &[Scope]) -> RunningService<RoleClient, ()> {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let server = AgentServer::of(Arc::clone(&stand.counter), caller(scopes));
    tokio::spawn(async move {
        if let Ok(running) = server.serve(ours).await {
            running.waiting().await.ok();
        }
    });
    ().serve(theirs).await.unwrap()
}

fn asked(name: &'static str, arguments: Value) -> CallToolRequestParams {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    CallToolRequestParams::new(name).with_arguments(arguments)
}

#[tokio::test]
async fn a_client_of_the_sdk_lists_and_calls() {
    let stand = Stand::new();
    let client = connect(&stand, &[Scope::See, Scope::Content]).await;
    let names: Vec<String> =
        client.list_all_tools().await.unwrap().iter().map(|tool| tool.name.to_string()).collect();
    assert!(
        names.contains(&"query_backup".to_owned()) && !names.contains(&"request_restore".to_owned()),
        "{names:?}"
    );
    let answer = client.call_tool(asked("find_items", json!({ "text": "invoice" }))).await.unwrap();
    assert_eq!(answer.is_error, Some(false));
    assert!(answer.structured_content.unwrap()["untrusted_content"]["title"].is_string());
    let refused =
        client.call_tool(asked("capture_now", json!({ "source": "shop", "reason": "x" }))).await.unwrap();
    assert_eq!((refused.is_error, refused.structured_content), (Some(true), None));
    assert!(client.call_tool(asked("approve", json!({}))).await.is_err());
    client.cancel().await.unwrap();
}

/// Sends one request over a plain connection; returns the status and the text.
fn post(listener: &Listener, path: &str, headers: &str, body: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream =
        std::net::TcpStream::connect_timeout(&listener.address(), std::time::Duration::from_secs(5)).unwrap();
    let host =
        if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", listener.address()) };
    let head = format!(
        "POST {path} HTTP/1.1\r\n{host}{headers}Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    (text[9..12].parse().unwrap(), text)
}

#[test]
fn over_http_nobody_is_answered_without_a_token_or_from_elsewhere() {
    let stand = Stand::new();
    let known = caller(&[Scope::See]);
    let recognise = Arc::new(move |token: &str| (token == "unwipe_good").then(|| known.clone()));
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::start(any, Arc::clone(&stand.counter), recognise.clone(), &[]).unwrap();
    let call = |tool: &str| {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": {} } }).to_string()
    };
    let good = "Authorization: Bearer unwipe_good\r\n";
    let (status, text) = post(&listener, "/mcp", good, &call("list_sources"));
    assert!(status == 200 && text.contains("\"shop\""), "{text}");
    let (status, text) = post(&listener, "/mcp", good, &call("find_items"));
    assert!(status == 200 && text.contains("scope content"), "{text}");
    assert_eq!(post(&listener, "/mcp", "", &call("list_sources")).0, 401);
    assert_eq!(post(&listener, "/mcp", "Authorization: Bearer unwipe_bad\r\n", &call("list_sources")).0, 401);
    assert_eq!(
        post(&listener, "/mcp", &format!("{good}Origin: https://evil.example\r\n"), &call("list_sources")).0,
        403
    );
    assert_eq!(
        post(&listener, "/mcp", &format!("{good}Host: evil.example\r\n"), &call("list_sources")).0,
        403
    );
    assert_eq!(post(&listener, "/mcp", good, &"x".repeat(300 << 10)).0, 413);
    assert!((400..500).contains(&post(&listener, "/mcp", good, "{").0));
    listener.stop().unwrap();
    let everywhere = "0.0.0.0:0".parse().unwrap();
    assert!(Listener::start(everywhere, Arc::clone(&stand.counter), recognise, &[]).is_err());
}
