//! `dev.env`: settings as a file that a shell can source (`set -a; . dev.env`) and that we read ourselves.
//!
//! Promises that what is written reads back the same, by us and by any POSIX shell, whatever characters a path or a
//! password holds. Never runs anything: `$(…)` in such a file is text.

use std::collections::BTreeMap;

/// Names with their values, in the order of writing.
pub(super) fn render(comment: &str, variables: &[(&str, String)]) -> String {
    let mut text = format!("# {comment}\n");
    for (name, value) in variables {
        text.push_str(&format!("{name}={}\n", quote(value)));
    }
    text
}

/// As one word of a POSIX shell: in single quotes nothing has a meaning but the quote itself.
pub(super) fn quote(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&b);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Reads what [`render`] wrote, and what a person may make of it: comments, blank lines, `export`, double quotes.
/// A line that is none of these is left out.
pub(super) fn parse(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.trim_start();
        let line = rest.split('\n').next().unwrap_or_default();
        let assignment = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let name = assignment.split('=').next().unwrap_or_default();
        let named = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.len() == assignment.len() || name.is_empty() || !name.bytes().all(named) {
            rest = &rest[line.len()..];
            continue;
        }
        // The value is a slice of `rest`, because quotes may go over lines.
        let start = line.len() - assignment.len() + name.len() + 1;
        let (value, length) = word(&rest[start..]);
        variables.insert(name.to_owned(), value);
        rest = &rest[start + length..];
        rest = rest.find('\n').map_or("", |end| &rest[end..]);
    }
    variables
}

/// One word of a shell, and how many bytes it takes.
fn word(text: &str) -> (String, usize) {
    let mut value = String::new();
    let mut quoted = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quoted, c) {
            (None, c) if c.is_whitespace() || c == ';' => return (value, at),
            (None, '\'' | '"') => quoted = Some(c),
            (Some(quote), c) if c == quote => quoted = None,
            (None | Some('"'), '\\') => value.extend(chars.next().map(|(_, c)| c)),
            (_, c) => value.push(c),
        }
    }
    (value, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &[&str] = &[
        "",
        "plain",
        "postgresql:///postgres?host=%2Fvar%2Flib%2Fheadwater%2Frun&user=postgres",
        "it's",
        "'",
        "''\\''",
        "a \"b\" $HOME `id` $(id) \\ ! # ; & | ~ * ?",
        "two\nlines\n",
        "ümläut 🦀",
    ];

    fn variables() -> Vec<(String, String)> {
        NASTY.iter().enumerate().map(|(i, value)| (format!("V{i}"), (*value).to_owned())).collect()
    }

    fn rendered() -> String {
        let variables = variables();
        render("a comment with ' and $", &variables.iter().map(|(n, v)| (n.as_str(), v.clone())).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(parse(&rendered()), variables().into_iter().collect());
    }

    #[test]
    fn a_shell_reads_the_same() {
        let script =
            format!("set -a\n{}\nexec env -0", rendered().lines().fold(String::new(), |text, line| text + line + "\n"));
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().expect("there is a shell");
        assert!(output.status.success(), "{output:?}");
        let seen = String::from_utf8(output.stdout).expect("text");
        let seen: BTreeMap<&str, &str> = seen.split('\0').filter_map(|line| line.split_once('=')).collect();
        for (name, value) in variables() {
            assert_eq!(seen.get(name.as_str()).copied(), Some(value.as_str()), "{name}");
        }
    }

    #[test]
    fn what_people_write_reads_too() {
        let text = "\n # no=1\nexport A=1\nB=\"two words\"  # tail\nnot a line\nC=x;D=y\n=z\nE=\n";
        let read: Vec<_> = parse(text).into_iter().collect();
        let expected = [("A", "1"), ("B", "two words"), ("C", "x"), ("E", "")];
        assert_eq!(read, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }
}
