//! The gateway against other people's servers: the LiteLLM proxy and aimock.
//!
//! Needs Python with venv, and npm; what it installs stays below the target directory. Not part of `test`: it fetches other
//! people's packages, half a gigabyte of them. CI asks them too, unless the packages cannot be had.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::cargo::{self, run};
use crate::packages::{npm, pip_fetch};

const LITELLM: &str = "litellm[proxy]==1.108.7";
const AIMOCK: &str = "@copilotkit/aimock@1.43.0";
const LITELLM_PORT: u16 = 39_418;
const AIMOCK_PORT: u16 = 39_419;
/// Long enough for the proxy, which wants no short one; good for nothing but this.
const KEY: &str = "sk-headwater-tests-0123456789abcdef";
/// By when they have to listen.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often each is started: the proxy has been seen to end at its start for no reason of ours.
const STARTS: u32 = 3;

const LITELLM_CONFIG: &str = r#"
model_list:
  - model_name: mock
    litellm_params: {model: openai/gpt-4o, api_key: none, mock_response: "Hello from a proxy."}
  - model_name: busy
    litellm_params: {model: openai/gpt-4o, api_key: none, mock_response: "litellm.RateLimitError"}
litellm_settings: {num_retries: 0}
"#;
const AIMOCK_FIXTURES: &str = r#"{"fixtures":[
  {"match":{"userMessage":"weather"},"response":{"toolCalls":[{"name":"get_weather","arguments":"{\"location\":\"Rome\"}"}]}},
  {"match":{"userMessage":"How are you?"},"response":{"content":"Quite well, for a mock."}}
]}"#;

/// Ends with its owner.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `if_there`: packages that cannot be fetched are no failure, and said.
pub(crate) fn providers(if_there: bool) -> anyhow::Result<()> {
    let dir = cargo::root().join("target/providers");
    std::fs::create_dir_all(&dir).with_context(|| format!("{}", dir.display()))?;
    match fetch(&dir) {
        Err(error) if if_there => {
            println!("NOT ASKED: the LiteLLM proxy and aimock, whose packages cannot be fetched here: {error:#}");
            Ok(())
        }
        fetched => fetched.and_then(|()| ask(&dir)),
    }
}

fn fetch(dir: &Path) -> anyhow::Result<()> {
    pip_fetch(&dir.join("venv"), dir, [LITELLM])?;
    run(npm().args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(dir).arg(AIMOCK))
}

fn ask(dir: &Path) -> anyhow::Result<()> {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).with_context(|| format!("{}", path.display())).map(|()| path)
    };
    let config = write("litellm.yaml", LITELLM_CONFIG)?;
    let fixtures = write("aimock.json", AIMOCK_FIXTURES)?;
    let mut litellm = Command::new(dir.join("venv/bin/litellm"));
    litellm.arg("--config").arg(config).args(["--host", "127.0.0.1", "--port", &LITELLM_PORT.to_string()]);
    litellm.env("LITELLM_MASTER_KEY", KEY).env("DISABLE_ADMIN_UI", "true");
    // It would ask the network for prices before it listens.
    litellm.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    let mut aimock = Command::new(dir.join("node_modules/.bin/llmock"));
    aimock.args(["--port", &AIMOCK_PORT.to_string(), "--log-level", "warn", "--fixtures"]).arg(fixtures);
    let _servers = [start(litellm, dir, "litellm", LITELLM_PORT)?, start(aimock, dir, "aimock", AIMOCK_PORT)?];

    let mut test = cargo::command();
    // Of one package alone the dependencies would have other features, and be compiled once more.
    test.args(["test", "--workspace", "--test", "it", "proxies::"]);
    test.env("HEADWATER_TEST_LITELLM_URL", format!("http://127.0.0.1:{LITELLM_PORT}"));
    test.env("HEADWATER_TEST_AIMOCK_URL", format!("http://127.0.0.1:{AIMOCK_PORT}"));
    test.env("HEADWATER_TEST_PROVIDER_KEY", KEY).env("HEADWATER_TEST_REQUIRE_PROVIDERS", "1");
    run(&mut test)
}

/// Starts a server, with what it says in a file, and waits until it listens.
fn start(mut command: Command, dir: &Path, name: &str, port: u16) -> anyhow::Result<Server> {
    for _ in 1..STARTS {
        match start_once(&mut command, dir, name, port) {
            Ok(server) => return Ok(server),
            Err(error) => eprintln!("{error:#}; once more"),
        }
    }
    start_once(&mut command, dir, name, port)
}

fn start_once(command: &mut Command, dir: &Path, name: &str, port: u16) -> anyhow::Result<Server> {
    let log = dir.join(format!("{name}.log"));
    let file = std::fs::File::create(&log).with_context(|| format!("{}", log.display()))?;
    command.stdout(file.try_clone()?).stderr(file).stdin(Stdio::null());
    let mut server = Server(command.spawn().with_context(|| format!("{name} does not start"))?);
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = server.0.try_wait()? {
            bail!("{name} ended ({status}): see {}", log.display());
        }
        if Instant::now() > until {
            bail!("{name} does not listen: see {}", log.display());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(server)
}
