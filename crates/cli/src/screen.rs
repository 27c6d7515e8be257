//! What the commands print: aligned tables, numbers that can be read, colours where a terminal shows them.
//!
//! Text is always made with its colours; they are dropped on the way out where stdout is no terminal or `NO_COLOR` is
//! set.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

/// Headings and names.
pub const BOLD: Style = Style::new().bold();
/// What explains a figure.
pub const DIM: Style = Style::new().dimmed();
/// Yes.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// No.
pub const BAD: Style = AnsiColor::Red.on_default();
/// Bars.
pub const BAR: Style = AnsiColor::Cyan.on_default();
/// No style.
pub const PLAIN: Style = Style::new();

/// `text` in a style.
pub fn styled(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// A whole number with separators: `2,656,768`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes: `16,000 B`.
pub fn bytes(value: u64) -> String {
    format!("{} B", number(value))
}

/// The size of a memory: `256 K`, or bytes where it is no multiple of K = 1,024.
pub fn memory(value: u64) -> String {
    if value >= 1024 && value.is_multiple_of(1024) { format!("{} K", number(value / 1024)) } else { bytes(value) }
}

/// A real number in few digits.
pub fn real(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-3..1e6).contains(&size) {
        let decimals = if size >= 100.0 { 1 } else { 4 };
        let text = format!("{value:.decimals$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.3e}")
    }
}

/// Sizes of axes: `[1, 49, 10, 1]`.
pub fn shape(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

/// `text` in at most `width` characters, the middle left out where it is longer.
pub fn shortened(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let tail = (width - 1) / 2;
    let head: String = text.chars().take(width - 1 - tail).collect();
    let end: String = text.chars().skip(count - tail).collect();
    format!("{head}…{end}")
}

/// A layer's name in at most `width` characters. Converters name a layer by all tensors that they fused, parted by `;`: the
/// first, which gives the layer its output, stands for all.
pub fn layer(name: &str, width: usize) -> String {
    let parts: Vec<&str> = name.split('+').map(|part| part.split(';').next().unwrap_or(part)).collect();
    shortened(&parts.join("+"), width)
}

/// Width of the terminal that stdout is, in characters; wide where it is none.
pub fn columns() -> usize {
    const NO_TERMINAL: usize = 120;
    const NARROWEST: usize = 60;
    terminal_size::terminal_size().map_or(NO_TERMINAL, |(width, _)| usize::from(width.0).max(NARROWEST))
}

/// Prose in lines that fit the terminal, each after `indent` blanks.
pub fn wrapped(text: &str, indent: usize) -> String {
    const WIDEST: usize = 100;
    let width = columns().min(WIDEST) - indent;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| format!("{:indent$}{line}\n", "")).collect()
}

/// A bar of up to `width` characters, in eighths.
pub fn bar(share: f64, width: usize) -> String {
    const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    let mut text = "█".repeat(eighths / 8);
    if let Some(part) = PARTS.get(eighths % 8).filter(|&&part| part != ' ') {
        text.push(*part);
    }
    text
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell in a style.
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, PLAIN)
    }
}

/// On which side a column is ragged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Columns that are as wide as their widest cell.
#[derive(Debug)]
pub struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without a heading.
    pub fn new(align: &[Align]) -> Self {
        Self { align: align.to_vec(), rows: Vec::new() }
    }

    /// A table whose columns have names.
    pub fn titled(columns: &[(&str, Align)]) -> Self {
        let heading = columns.iter().map(|(title, _)| Cell::new(*title, DIM)).collect();
        Self { align: columns.iter().map(|&(_, align)| align).collect(), rows: vec![heading] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// The lines, indented by two blanks.
    pub fn render(&self) -> String {
        let widths: Vec<usize> = (0..self.align.len())
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            let mut blanks = 2;
            for ((cell, &width), align) in row.iter().zip(&widths).zip(&self.align) {
                let (before, after) = match align {
                    Align::Left => (0, width - cell.width()),
                    Align::Right => (width - cell.width(), 0),
                };
                if cell.width() > 0 {
                    let _ = write!(line, "{:1$}{2}", "", blanks + before, styled(&cell.text, cell.style));
                    blanks = after + 2;
                } else {
                    blanks += width + 2;
                }
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

/// Tells on stderr what was done.
pub fn note(text: &str) {
    anstream::eprintln!("{}", styled(text, DIM));
}

/// A spinner on stderr, where that is a terminal; it goes away with the value.
pub struct Progress(ProgressBar);

impl Progress {
    /// Begins something that takes more than a second.
    pub fn start(what: String) -> Self {
        let spinner = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
            spinner.set_style(style);
        }
        spinner.set_message(what);
        spinner.enable_steady_tick(Duration::from_millis(100));
        Self(spinner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar on stderr, where that is a terminal, for work of a known number of parts; it goes away with the value.
pub struct Bar(ProgressBar);

impl Bar {
    /// Begins `parts` of work.
    pub fn start(parts: u64) -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(parts) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:40} {pos}/{len} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// There are more parts than was known.
    pub fn add(&self, parts: u64) {
        self.0.inc_length(parts);
    }

    /// A part is done.
    pub fn done(&self) {
        self.0.inc(1);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(2_656_768), "2,656,768");
        assert_eq!(memory(262_144), "256 K");
        assert_eq!(memory(1000), "1,000 B");
    }

    #[test]
    fn reals_have_few_digits() {
        assert_eq!(real(0.0), "0");
        assert_eq!(real(-1.5), "-1.5");
        assert_eq!(real(0.003_906_25), "0.0039");
        assert_eq!(real(12.0), "12");
        assert_eq!(real(1e-9), "1.000e-9");
    }

    #[test]
    fn columns_align() {
        let mut table = Table::new(&[Align::Left, Align::Right, Align::Left]);
        table.row(["a".into(), "1".into(), "x".into()]);
        table.row(["bcd".into(), "100".into(), "".into()]);
        let text = anstream::adapter::strip_str(&table.render()).to_string();
        assert_eq!(text, "  a      1  x\n  bcd  100\n");
    }

    #[test]
    fn prose_wraps_between_words() {
        let text = wrapped(&"word ".repeat(40), 4);
        assert!(text.lines().count() > 1 && text.lines().all(|line| line.starts_with("    word") && line.len() <= 100));
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shortened("abcdefghij", 5), "ab…ij");
        assert_eq!(shortened("abc", 5), "abc");
        assert_eq!(layer("relu;conv;bias+pool", 20), "relu+pool");
        assert_eq!(bar(0.5, 4), "██");
        assert_eq!(bar(0.2, 4), "▊");
    }
}
