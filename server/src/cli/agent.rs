//! `headwater agent apply FILE`: agents as files, for people and CI.
//!
//! A file holds one agent (an object with a `name`) or several (`[[agents]]` in TOML; `{"agents": […]}` or a list in
//! JSON). All of a file is read and checked for names before the first agent is sent; what the server refuses ends the
//! command, and says how many were applied before.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use headwater_client::protocol::api::check_agent_name;
use serde_json::{Map, Value};

use super::output;
use super::remote::{Credential, Remote, RemoteArgs};

#[derive(Debug, Args)]
pub(super) struct AgentArgs {
    #[command(subcommand)]
    command: AgentCommand,
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    /// Make or change the agents of a file; a new version only where something differs
    Apply {
        /// TOML or JSON
        file: PathBuf,
    },
}

pub(super) async fn run(args: AgentArgs) -> anyhow::Result<()> {
    let AgentCommand::Apply { file } = args.command;
    let text = std::fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))?;
    let agents = read(&file, &text)?;
    let remote = Remote::find(&args.remote, Credential::Tenant, None)?;
    for (done, (name, body)) in agents.iter().enumerate() {
        let applied = remote.client.agents_put(name, body).await.map_err(|error| remote.explain(error));
        let agent = applied.with_context(|| format!("agent {name} was not applied ({done} before it were)"))?;
        output::line(&format!("{}  {name}  version {}  {}", agent.id, agent.version, agent.config.model))?;
    }
    Ok(())
}

/// The agents of a file: their names and all else.
fn read(file: &Path, text: &str) -> anyhow::Result<Vec<(String, Value)>> {
    let place = file.display();
    if file.extension().is_some_and(|extension| ["yaml", "yml"].iter().any(|yaml| extension.eq_ignore_ascii_case(yaml)))
    {
        bail!("{place}: agents come as .toml or .json");
    }
    let json = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
        || matches!(text.trim_start().as_bytes(), [b'{', ..] | [b'[', b'{' | b'\n' | b' ', ..]);
    let value: Value = if json {
        serde_json::from_str(text).with_context(|| format!("{place} is not JSON"))?
    } else {
        toml::from_str(text).with_context(|| format!("{place} is not TOML"))?
    };
    let objects = match value {
        Value::Array(agents) => agents,
        Value::Object(mut file) if file.get("agents").is_some_and(Value::is_array) => {
            let Some(Value::Array(agents)) = file.remove("agents") else { unreachable!("just seen") };
            if let Some((other, _)) = file.into_iter().next() {
                bail!("{place} has {other} beside agents; move it into one of them, or take it out");
            }
            agents
        }
        one => vec![one],
    };
    if objects.is_empty() {
        bail!("{place} holds no agent; an agent is an object with at least a name and a model");
    }
    objects
        .into_iter()
        .enumerate()
        .map(|(i, agent)| named(agent).with_context(|| format!("{place}, agent {}", i + 1)))
        .collect()
}

fn named(agent: Value) -> anyhow::Result<(String, Value)> {
    let Value::Object(mut members) = agent else { bail!("an agent is an object with at least a name and a model") };
    let Some(Value::String(name)) = members.remove("name") else { bail!("give it a name") };
    if let Err(problem) = check_agent_name(&name) {
        bail!("{}", problem.message());
    }
    Ok((name, Value::Object(Map::from_iter(members))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_a_file() {
        let one = vec![("a".to_owned(), json!({"model": "scripted/demo", "limits": {"max_steps": 2}}))];
        let files = [
            ("x.toml", "name = \"a\"\nmodel = \"scripted/demo\"\n[limits]\nmax_steps = 2\n"),
            ("x.toml", "[[agents]]\nname = \"a\"\nmodel = \"scripted/demo\"\nlimits = {max_steps = 2}\n"),
            ("x.json", r#"{"name":"a","model":"scripted/demo","limits":{"max_steps":2}}"#),
            ("x", r#"[{"name":"a","model":"scripted/demo","limits":{"max_steps":2}}]"#),
            ("x.json", r#"{"agents":[{"name":"a","model":"scripted/demo","limits":{"max_steps":2}}]}"#),
        ];
        for (name, text) in files {
            assert_eq!(read(Path::new(name), text).expect(text), one, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |name: &str, text: &str| {
            super::super::Chain(&read(Path::new(name), text).expect_err("is wrong")).to_string()
        };
        assert!(wrong("x.toml", "name = ").contains("x.toml is not TOML"));
        assert!(wrong("x.json", "{").contains("x.json is not JSON"));
        assert!(wrong("x.yaml", "name: a").contains("x.yaml: agents come as .toml or .json"));
        assert!(wrong("x.json", "[]").contains("no agent"));
        assert!(wrong("x.json", r#"[{"name":"a"},{}]"#).contains("agent 2: give it a name"));
        assert!(wrong("x.json", r#"{"name":"A b"}"#).contains("/name"));
        assert!(wrong("x.toml", "model = 1\n[[agents]]\nname = \"a\"").contains("model beside agents"));
    }
}
