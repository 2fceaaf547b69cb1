//! Printing: results go to stdout, words about them to stderr.
//!
//! Promises that a reader who has gone (`headwater openapi | head`) ends the process quietly instead of in a panic.

use std::io::{self, IsTerminal as _, Write as _};

/// Prints to stdout at once, as it is.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(super::Exit(0).into()),
        written => written.map_err(|error| anyhow::anyhow!("could not write to stdout: {error}")),
    }
}

/// Prints a line to stdout.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    print(&format!("{text}\n"))
}

/// Tells the person something that is not the result. Whether it arrives matters to nobody.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The same in a dim colour where there are colours, without a line break of its own.
pub(super) fn dim(text: &str) {
    let mut err = io::stderr().lock();
    let _ = if io::stderr().is_terminal() { write!(err, "\x1b[2m{text}\x1b[0m") } else { write!(err, "{text}") };
    let _ = err.flush();
}

/// Rows in columns as wide as they need to be.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |i: usize| rows.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|i| width(i).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up() {
        let rows = [vec!["ten_1".into(), "a".into()], vec!["ten".into(), "longer".into()]];
        assert_eq!(super::table(&rows), "ten_1  a\nten    longer\n");
    }
}
