//! MCP servers for tests. They speak the revisions with a handshake; each answer is one JSON body.

use std::sync::Mutex;

use headwater_testkit::ToolServer;
use headwater_testkit::tools::{ToolAnswer, ToolRequest};
use serde_json::{Value, json};

/// An MCP server with these tools, which answers calls so. `token`: the bearer that it wants.
pub(crate) fn server(
    tools: &Value,
    token: Option<&'static str>,
    call: impl Fn(&Value) -> Value + Send + Sync + 'static,
) -> ToolServer {
    let tools = Mutex::new(tools.clone());
    ToolServer::start(move |asked: &ToolRequest| {
        if let Some(token) = token
            && asked.header("authorization") != Some(&format!("Bearer {token}"))
        {
            return ToolAnswer::text("who are you?").status(401);
        }
        if asked.method != "POST" {
            return ToolAnswer::text("").status(405);
        }
        let request = asked.json();
        let result = match request["method"].as_str().unwrap_or_default() {
            "initialize" => {
                json!({"protocolVersion": request["params"]["protocolVersion"], "capabilities": {"tools": {}},
                                   "serverInfo": {"name": "test", "version": "1"}})
            }
            "tools/list" => json!({"tools": *tools.lock().expect("nobody panics with it")}),
            "tools/call" => call(&request["params"]),
            method if method.starts_with("notifications/") => return ToolAnswer::text("").status(202),
            _ => {
                let error = json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "Method not found"}});
                return ToolAnswer::json(&error);
            }
        };
        ToolAnswer::json(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result}))
    })
}

/// The calls of its tools that it was asked for, in their order.
pub(crate) fn calls_of(server: &ToolServer) -> Vec<Value> {
    server.requests().iter().map(ToolRequest::json).filter(|asked| asked["method"] == "tools/call").collect()
}
