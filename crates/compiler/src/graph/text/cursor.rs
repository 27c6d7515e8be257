//! A place in a text, and the tokens that can be read there.

use std::str::FromStr;

use super::TextError;

/// Where the parser is.
pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

/// Whether `c` belongs to words and numbers.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+' | '-')
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The text from here on, after spaces and comments.
    fn rest(&mut self) -> &'t str {
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return trimmed;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    /// The next token's place.
    pub(super) fn mark(&mut self) -> usize {
        self.rest();
        self.at
    }

    /// Goes back to a place that [`Cursor::mark`] gave.
    pub(super) fn reset(&mut self, mark: usize) {
        self.at = mark;
    }

    /// The error that `expected` is not at `mark`.
    pub(super) fn error_at(&self, mark: usize, expected: impl Into<String>) -> TextError {
        let before = self.text.get(..mark).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = self.text.get(mark..).unwrap_or_default();
        let found = match rest.chars().next() {
            None => "the end of the text".into(),
            Some(first) => {
                let word: String = rest.chars().take_while(|&c| in_word(c)).take(40).collect();
                format!("{:?}", if word.is_empty() { first.to_string() } else { word })
            }
        };
        TextError {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            expected: expected.into(),
            found,
        }
    }

    /// The error that `expected` is not here.
    pub(super) fn error(&mut self, expected: impl Into<String>) -> TextError {
        let mark = self.mark();
        self.error_at(mark, expected)
    }

    /// Whether the text ends here.
    pub(super) fn at_end(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// Reads `token` where it is next; a token of letters ends where the word does.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(token) else { return false };
        if token.ends_with(in_word) && after.starts_with(in_word) {
            return false;
        }
        self.at += token.len();
        true
    }

    pub(super) fn expect(&mut self, token: &str) -> Result<(), TextError> {
        if self.eat(token) { Ok(()) } else { Err(self.error(format!("`{token}`"))) }
    }

    /// Reads letters, digits and signs; may be empty.
    pub(super) fn word(&mut self) -> &'t str {
        let rest = self.rest();
        let word = rest.split_once(|c| !in_word(c)).map_or(rest, |(word, _)| word);
        self.at += word.len();
        word
    }

    /// Reads a number, called `what` in the error.
    pub(super) fn number<T: FromStr>(&mut self, what: &str) -> Result<T, TextError> {
        let mark = self.mark();
        self.word().parse().map_err(|_| self.error_at(mark, what))
    }

    /// Reads a decimal, or the bits of a float as `0x…`.
    pub(super) fn float(&mut self) -> Result<f32, TextError> {
        let mark = self.mark();
        let word = self.word();
        let value = match word.strip_prefix("0x") {
            Some(bits) => u32::from_str_radix(bits, 16).ok().map(f32::from_bits),
            None => word.parse().ok(),
        };
        value.ok_or_else(|| self.error_at(mark, "a float, or its bits as 0x…"))
    }

    /// Reads items up to `close`, with commas between them.
    pub(super) fn items(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<(), TextError>,
    ) -> Result<(), TextError> {
        if self.eat(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.eat(close) {
                return Ok(());
            }
            if !self.eat(",") {
                return Err(self.error(format!("`,` or `{close}`")));
            }
        }
    }

    /// Reads a list in brackets.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, TextError>,
    ) -> Result<Vec<T>, TextError> {
        let mut values = Vec::new();
        self.expect("[")?;
        self.items("]", |cursor| {
            values.push(item(cursor)?);
            Ok(())
        })?;
        Ok(values)
    }

    /// Reads a string with the escapes of Rust's literals.
    pub(super) fn string(&mut self) -> Result<String, TextError> {
        if !self.eat("\"") {
            return Err(self.error("a name in double quotes"));
        }
        let mut string = String::new();
        loop {
            let mark = self.at;
            match self.next_char() {
                Some('"') => return Ok(string),
                Some('\\') => string.push(self.escape(mark)?),
                Some(c) => string.push(c),
                None => return Err(self.error_at(mark, "the name's closing quote")),
            }
        }
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.text.get(self.at..)?.chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// What follows the backslash at `mark`.
    fn escape(&mut self, mark: usize) -> Result<char, TextError> {
        let c = match self.next_char() {
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('0') => Some('\0'),
            Some(c @ ('\\' | '"' | '\'')) => Some(c),
            Some('u') => self.code_point(),
            _ => None,
        };
        c.ok_or_else(|| self.error_at(mark, r#"one of the escapes \n \r \t \0 \\ \" \' \u{…}"#))
    }

    fn code_point(&mut self) -> Option<char> {
        let (digits, _) = self.text.get(self.at..)?.strip_prefix('{')?.split_once('}')?;
        self.at += digits.len() + 2;
        char::from_u32(u32::from_str_radix(digits, 16).ok()?)
    }

    /// Reads an op: a word, and what follows in parentheses.
    pub(super) fn op(&mut self) -> Result<&'t str, TextError> {
        let start = self.mark();
        if self.word().is_empty() {
            return Err(self.error_at(start, "an op such as Conv2d(…)"));
        }
        if !self.rest().starts_with('(') {
            return Err(self.error("`(` and the op's attributes"));
        }
        let mut depth = 0usize;
        let open = self.at;
        while let Some(c) = self.next_char() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                '"' => {
                    self.at -= 1;
                    self.string()?;
                }
                _ => {}
            }
            if depth == 0 {
                return Ok(self.text.get(start..self.at).unwrap_or_default());
            }
        }
        Err(self.error_at(open, "a parenthesis that is closed"))
    }
}
