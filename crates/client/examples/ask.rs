//! Asks an agent and prints its answer as it comes, over however many connections that takes; a tool that asks first is permitted.
//!
//! ```sh
//! cargo run -p headwater-client --example ask -- assistant "Where is order 7?"
//! ```
//!
//! `HEADWATER_URL` and `HEADWATER_API_KEY` say where and as whom, `HEADWATER_USER` for whom (`alice` unless set).

use std::io::Write as _;

use headwater_client::protocol::api::{Decision, RunParams};
use headwater_client::protocol::event::{Event, EventBody};
use headwater_client::{Client, Options, StreamItem};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let setting = |name: &str| std::env::var(name).map_err(|_| format!("set {name}"));
    let user = std::env::var("HEADWATER_USER").unwrap_or_else(|_| "alice".into());
    let mut arguments = std::env::args().skip(1);
    let agent = arguments.next().unwrap_or_else(|| "assistant".into());
    let input = arguments.next().unwrap_or_else(|| "Hello".into());

    let client =
        Client::builder(setting("HEADWATER_URL")?).api_key(setting("HEADWATER_API_KEY")?).as_user(user).build()?;
    let mut stream = client.runs_create_stream(&RunParams::new(agent, input), Options::new())?;
    let mut out = std::io::stdout();
    while let Some(item) = stream.next_item().await {
        let StreamItem::Event(line) = item? else { continue };
        let Event { run, body, .. } = line.parse()?;
        match body {
            EventBody::MessageDelta { delta, .. } => {
                out.write_all(delta.as_bytes())?;
                out.flush()?;
            }
            EventBody::ApprovalRequested { approval, message, .. } => {
                eprintln!("{message} Yes.");
                let yes: Decision = serde_json::from_str(r#"{"decision":"approved"}"#)?;
                client.approvals_decide(run, approval, &yes, Options::new()).await?;
            }
            EventBody::RunFailed { error, .. } => return Err(error.to_string().into()),
            _ => {}
        }
    }
    writeln!(out)?;
    Ok(())
}
