use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::*;

fn load(env: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    Settings::load(None, env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn error(env: &[(&str, &str)]) -> String {
    load(env).expect_err("refused").to_string()
}

/// A file that goes with the test.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("headwater-config-{}.toml", uuid::Uuid::now_v7()));
        std::fs::write(&path, text).expect("writes a file");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[test]
fn defaults_read_and_every_key_has_a_comment() {
    let settings = load(&[]).expect("defaults");
    assert_eq!(settings.profile, Profile::Production);
    assert_eq!((settings.server.host.as_str(), settings.server.port), ("::", 8080));
    assert_eq!(settings.limits.requests_per_minute_per_user, 120);
    assert_eq!(settings.providers.keys().collect::<Vec<_>>(), ["scripted"]);
    let lines: Vec<&str> = DEFAULTS.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if line.contains(" = ") && !line.starts_with('#') && !line.starts_with("protocol") {
            assert!(lines[index - 1].starts_with("# "), "{line} is explained");
        }
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
    let file =
        File::new("[server]\nport = 1000\nhost = \"127.0.0.1\"\n[providers.local]\nbase_url = \"http://x/v1\"\n");
    let env = [
        ("HEADWATER__SERVER__PORT", "2000"),
        ("HEADWATER__PROVIDERS__LOCAL__MAX_CONCURRENT", "3"),
        ("HEADWATER__PROVIDERS__SICK_ONE__BASE_URL", "http://y/v1"),
        ("HEADWATER__DATABASE__ROLE_PREFIX", "42"),
        ("DATABASE_URL", "postgres://u:secret@h/d"),
        ("HEADWATER_OPERATOR_KEY", "hw_op_12345678901234567890123456"),
        ("HEADWATER_URL", "not a setting of the server"),
        ("PORT", "3000"),
    ];
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings = Settings::load(Some(&file.0), env).expect("reads");
    assert_eq!((settings.server.host.as_str(), settings.server.port), ("127.0.0.1", 2000));
    assert!(settings.is_explicit("server.host") && !settings.is_explicit("server.drain_ms"));
    assert_eq!(settings.providers["local"].base_url.as_deref(), Some("http://x/v1"));
    assert_eq!(settings.providers["local"].max_concurrent, Some(3));
    assert_eq!(settings.providers["sick_one"].base_url.as_deref(), Some("http://y/v1"));
    assert_eq!(settings.database.role_prefix, "42", "a number where text is wanted is text");
    let env_key = "hw_op_12345678901234567890123456";
    assert_eq!(settings.auth.operator_key.as_ref().expect("set").expose_secret(), env_key);
    let shown = format!("{settings:?}");
    assert!(!shown.contains("secret@") && !shown.contains(env_key), "no secret in {shown}");
}

#[test]
fn an_error_names_the_variable() {
    let cases = [
        (("HEADWATER__SERVER__PROT", "1"), "there is no such key; there are `host`"),
        (("HEADWATER__SEVRER__PORT", "1"), "there is no such key"),
        (("HEADWATER__SERVER__PORT", "http"), "must be a whole number from 0 to 65535"),
        (("HEADWATER__SERVER__PORT", "70000"), "must be a whole number from 0 to 65535, not integer `70000`"),
        (("HEADWATER__SERVER__PORT", ""), "must be a whole number"),
        (("HEADWATER__SERVER__PORT__X", "1"), "must be a whole number"),
        (("HEADWATER__SERVER", "8080"), "must be a table of keys"),
        (("HEADWATER__SERVER____PORT", "1"), "two underscores"),
        (("HEADWATER__LEASE__MS", "0"), "must be 1 to 86400000 milliseconds"),
        (("HEADWATER__LOG__FORMAT", "xml"), "expected `json` or `text`"),
        (
            ("HEADWATER__LOG__LEVEL", "headwater=loud"),
            "must be error, warn, info, debug, trace or off, or MODULE=LEVEL",
        ),
        (("HEADWATER__LOG__LEVEL", "bogus"), "must be error, warn"),
        (("HEADWATER__LOG__LEVEL", "info,bogus"), "must be error, warn"),
        (("HEADWATER_OPERATOR_KEY", "short"), "must be hw_op_ and 26 or more"),
        (("HEADWATER_OPERATOR_KEY", "hw_op_short"), "must be hw_op_ and 26 or more"),
        (("HEADWATER_OPERATOR_KEY", "0123456789012345678901234567890123456789"), "openssl rand"),
        (("HEADWATER__PROFILE", "test"), "expected one of `production`, `railway`, `dev`"),
        (("HEADWATER__PROVIDERS__X__PROTOCOL", "soap"), "unknown variant"),
        (("HEADWATER__PROVIDERS__X__BASE_URL", "ftp://x"), "must be an http or https URL"),
        (("HEADWATER__PROVIDERS__A.B__MAX_CONCURRENT", "1"), "a name has only"),
        (("PORT", "eighty"), "must be a whole number"),
    ];
    for ((name, value), words) in cases {
        let message = error(&[(name, value), ("HEADWATER__SERVER__HOST", "::1")]);
        assert!(message.starts_with(&format!("{name}: ")), "{message} names {name}");
        assert!(message.contains(words), "{message} says {words}");
    }
    let message = error(&[("HEADWATER__SERVER__PORT", "hw_sk_secret")]);
    assert!(!message.contains("hw_sk"), "{message} keeps text to itself");
}

#[test]
fn levels_of_the_log() {
    for level in ["info", "WARN", "off", "info,headwater=debug", "headwater_store=trace,warn", "warn,[run{a=1}]=info"] {
        assert_eq!(load(&[("HEADWATER__LOG__LEVEL", level)]).expect(level).log.level, level);
    }
}

#[test]
fn an_error_names_the_file_and_key() {
    let unknown = File::new("[stream]\ncoalesce = 3\n");
    let message = Settings::load(Some(&unknown.0), std::iter::empty()).expect_err("refused").to_string();
    assert!(
        message.starts_with(&format!("{}: stream.coalesce: there is no such key", unknown.0.display())),
        "{message}"
    );
    let broken = File::new("[stream]\nring_bytes = 1\ncoalesce_ms = = 3 # hw_sk_secret\n");
    let message = Settings::load(Some(&broken.0), std::iter::empty()).expect_err("refused").to_string();
    assert!(message.contains(": line 3: ") && !message.contains("hw_sk"), "{message}");
    let missing = PathBuf::from("/nonexistent/headwater.toml");
    let message = Settings::load(Some(&missing), std::iter::empty()).expect_err("refused").to_string();
    assert!(message.starts_with("/nonexistent/headwater.toml: "), "{message}");
}

#[test]
fn the_dev_profile_lifts_what_was_not_set() {
    let settings = load(&[("HEADWATER__PROFILE", "dev"), ("HEADWATER__LIMITS__REQUESTS_PER_MINUTE_PER_KEY", "10")])
        .expect("reads");
    assert_eq!(settings.limits.requests_per_minute_per_key, 10, "set on purpose");
    assert_eq!(settings.limits.requests_per_minute_per_user, 0);
    assert_eq!(settings.runs.max_active_per_tenant, 100_000);
    assert_eq!(settings.stream.max_open_per_user, 100_000);
    assert_eq!((settings.stream.replay_bytes_per_minute, settings.llm.max_concurrent), (0, 0));
}

#[test]
fn providers_find_their_keys() {
    let settings = load(&[("OPENAI_API_KEY", "sk-1"), ("OPENAI_BASE_URL", "http://gateway/v1")]).expect("reads");
    let openai = &settings.provider_configs()["openai"];
    assert_eq!(openai.base_url.as_deref(), Some("http://gateway/v1"));
    assert_eq!(openai.api_key.as_ref().expect("a key").expose_secret(), "sk-1");

    let settings = load(&[("ANTHROPIC_API_KEY", "sk-ant")]).expect("reads");
    let anthropic = &settings.provider_configs()["anthropic"];
    assert_eq!((anthropic.protocol, anthropic.base_url.as_deref()), (Protocol::AnthropicMessages, None));
    assert_eq!(anthropic.api_key.as_ref().expect("a key").expose_secret(), "sk-ant");

    // Configured: the key is not sent to somebody else's address.
    let settings = load(&[("OPENAI_API_KEY", "sk-1"), ("HEADWATER__PROVIDERS__OPENAI__BASE_URL", "http://other/v1")])
        .expect("reads");
    assert!(settings.provider_configs()["openai"].api_key.is_none());

    let env = [
        ("HEADWATER__PROVIDERS__A__API_KEY_ENV", "A_KEY"),
        ("A_KEY", "sk-2"),
        ("HEADWATER__PROVIDERS__B__API_KEY_ENV", "B_KEY"),
    ];
    let settings = load(&env).expect("reads");
    assert_eq!(settings.provider_configs()["a"].api_key.as_ref().expect("a key").expose_secret(), "sk-2");
    assert_eq!(settings.warnings().len(), 1);
    assert!(settings.warnings()[0].contains("B_KEY"));
    assert!(!load(&[]).expect("reads").providers.contains_key("openai"));
}
