//! The client as `@modelcontextprotocol/conformance` drives it: the URL is the last argument. Lists the server's tools and
//! calls each of them once.

use std::time::Duration;

use headwater_guard::{Guard, Networks};
use headwater_mcp::{Call, Target};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Something that satisfies the schema of an argument, as far as these servers ask.
fn some(schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("number" | "integer") => json!(3),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => schema["enum"][0].as_str().map_or_else(|| json!("x"), |one| json!(one)),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let url = std::env::args().next_back().ok_or("the last argument is the server's URL")?.parse()?;
    let guard = Guard::new(Networks::parse(["127.0.0.0/8", "::1/128"])?)?;
    let mut target = Target { url, headers: Vec::new(), protocol: None };
    let listed = headwater_mcp::list(&guard, &target, Duration::from_secs(20)).await?;
    println!("protocol {}, {} tools", listed.protocol, listed.tools.len());
    target.protocol = Some(listed.protocol);
    for tool in listed.tools {
        let properties = tool.parameters["properties"].as_object().cloned().unwrap_or_default();
        let args: Map<String, Value> = properties.iter().map(|(name, schema)| (name.clone(), some(schema))).collect();
        let (progress, _told) = mpsc::channel(8);
        let call = Call {
            tool: tool.name.clone(),
            args,
            id: "call_conformance".to_owned(),
            idempotent: false,
            timeout: Duration::from_secs(20),
            progress,
            cancel: CancellationToken::new(),
        };
        println!("{}: {:?}", tool.name, headwater_mcp::call(&guard, &target, call).await?);
    }
    Ok(())
}
