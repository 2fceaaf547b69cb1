//! The arrows between our crates, and which of them may name what.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Who may depend on which of ours. `protocol ← store ← stream ← agent ← server`, `protocol ← llm ← agent`,
/// `store ← vault ← agent, server`, `guard ← mcp ← agent`, `guard ← agent, server`, `protocol ← client ← server, loadtest`;
/// tests and the load test besides on `testkit`.
const ARROWS: [(&str, &[&str]); 13] = [
    ("headwater-protocol", &[]),
    ("headwater-store", &["headwater-protocol"]),
    ("headwater-stream", &["headwater-protocol", "headwater-store"]),
    ("headwater-llm", &["headwater-protocol"]),
    ("headwater-guard", &[]),
    ("headwater-mcp", &["headwater-guard"]),
    ("headwater-vault", &["headwater-protocol", "headwater-store"]),
    (
        "headwater-agent",
        &[
            "headwater-protocol",
            "headwater-store",
            "headwater-stream",
            "headwater-llm",
            "headwater-guard",
            "headwater-mcp",
            "headwater-vault",
        ],
    ),
    ("headwater-client", &["headwater-protocol"]),
    ("headwater-testkit", &["headwater-store"]),
    (
        "headwater",
        &[
            "headwater-protocol",
            "headwater-store",
            "headwater-stream",
            "headwater-llm",
            "headwater-agent",
            "headwater-client",
            "headwater-guard",
            "headwater-vault",
        ],
    ),
    ("headwater-loadtest", &["headwater-protocol", "headwater-client", "headwater-testkit", "headwater-store"]),
    ("xtask", &["headwater-store"]),
];

const POSTGRES: [&str; 6] =
    ["sqlx", "tokio-postgres", "deadpool-postgres", "tokio-postgres-rustls", "postgres", "sqlx-postgres"];

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata of this workspace")
}

/// Who names which package, and for what.
fn named(metadata: &Metadata) -> BTreeMap<String, Vec<(String, DependencyKind)>> {
    let packages = metadata.packages.iter();
    packages
        .map(|package| {
            let named = package.dependencies.iter().map(|dependency| (dependency.name.clone(), dependency.kind));
            (package.name.to_string(), named.collect())
        })
        .collect()
}

/// Arrows that are not in the table.
fn strays(named: &BTreeMap<String, Vec<(String, DependencyKind)>>, table: &[(&str, &[&str])]) -> Vec<String> {
    let ours: BTreeSet<&str> = named.keys().map(String::as_str).collect();
    let mut strays = Vec::new();
    for (package, dependencies) in named {
        let Some((_, allowed)) = table.iter().find(|(name, _)| name == package) else {
            strays.push(format!("{package} is not in the table"));
            continue;
        };
        for (name, kind) in dependencies.iter().filter(|(name, _)| ours.contains(name.as_str())) {
            let in_tests = *kind == DependencyKind::Development;
            // Tests may have the scripted model and the throw-away databases, and what their crate may have.
            if !(allowed.contains(&name.as_str()) || in_tests && name == "headwater-testkit") {
                strays.push(format!("{package} → {name} ({kind})"));
            }
        }
    }
    strays
}

#[test]
fn the_arrows_are_those_of_the_table() {
    let named = named(&metadata());
    assert_eq!(strays(&named, &ARROWS), Vec::<String>::new());
    for (package, _) in ARROWS {
        assert!(named.contains_key(package), "{package} is in the table and nowhere else");
    }
}

#[test]
fn a_forbidden_arrow_would_be_seen() {
    let mut named = named(&metadata());
    let llm = named.get_mut("headwater-llm").expect("is there");
    llm.push(("headwater-store".into(), DependencyKind::Normal));
    llm.push(("headwater-testkit".into(), DependencyKind::Normal));
    assert_eq!(strays(&named, &ARROWS).len(), 2, "each is named");
}

#[test]
fn only_store_names_postgres_and_only_three_name_axum() {
    for (package, dependencies) in named(&metadata()) {
        for (name, kind) in dependencies {
            if POSTGRES.contains(&name.as_str()) {
                assert_eq!(package, "headwater-store", "names {name} ({kind})");
            }
            if name == "axum" || name == "axum-core" {
                let may = ["headwater", "headwater-testkit", "headwater-loadtest"].contains(&package.as_str());
                assert!(may, "{package} names {name} ({kind})");
            }
        }
    }
}

#[test]
fn one_tls_library_is_linked() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "-p",
            "headwater",
            "-e",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo tree runs");
    let text = String::from_utf8_lossy(&tree.stdout);
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let linked = |name: &str| text.lines().any(|line| line.starts_with(&format!("{name} v")));
    assert!(linked("aws-lc-rs"), "the list is read");
    // Two of them in one process panic at first use.
    assert!(!linked("ring"), "ring is in the tree of normal dependencies");
    assert!(!linked("openssl-sys"), "OpenSSL is in the tree of normal dependencies");
}
