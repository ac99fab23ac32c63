//! The dotenv format: owns a strict reading of it. What other tools would
//! expand or read differently is refused with its line, never guessed: a password must arrive as
//! it was written. (Libraries for it expand `$NAME` and repeat the line in their errors.)

use std::collections::HashSet;

use strongroom_core::secret::Secret;

/// One `NAME=VALUE`.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    pub(crate) value: Secret,
    /// The line it begins on, from 1.
    pub(crate) line: usize,
}

/// Why a text is not dotenv as understood here; never with its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub(crate) struct DotenvError {
    pub(crate) line: usize,
    pub(crate) problem: &'static str,
}

/// Reads `NAME=VALUE` lines: `#` comments, an optional `export`, values bare, in `'...'` (as
/// they stand) or in `"..."` (with `\n \r \t \\ \" \$ \``). Quoted values may span lines.
pub(crate) fn parse(text: &str) -> Result<Vec<Assignment>, DotenvError> {
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        line: 1,
    };
    let mut found: Vec<Assignment> = Vec::new();
    let mut names = HashSet::new();
    while !reader.rest.is_empty() {
        let line = reader.line;
        if let Some((name, value)) = reader.assignment()? {
            if !names.insert(name.clone()) {
                return Err(DotenvError {
                    line,
                    problem: "the name is there a second time",
                });
            }
            found.push(Assignment { name, value, line });
        }
    }
    Ok(found)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn fail<T>(&self, problem: &'static str) -> Result<T, DotenvError> {
        Err(DotenvError {
            line: self.line,
            problem,
        })
    }

    /// Takes one character, counting lines.
    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = self.rest.get(letter.len_utf8()..).unwrap_or_default();
        if letter == '\n' {
            self.line += 1;
        }
        Some(letter)
    }

    /// Takes what matches up to the first character that does not.
    fn take_while(&mut self, matches: impl Fn(char) -> bool) -> &str {
        let end = self
            .rest
            .find(|letter| !matches(letter))
            .unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Reads one logical line; `None` for a blank or a comment.
    fn assignment(&mut self) -> Result<Option<(String, Secret)>, DotenvError> {
        self.take_while(is_blank);
        if matches!(self.rest.chars().next(), None | Some('\n' | '\r' | '#')) {
            self.end_of_line()?;
            return Ok(None);
        }
        let mut name = self.name();
        if name == "export" && self.rest.starts_with(is_blank) {
            self.take_while(is_blank);
            name = self.name();
        }
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return self.fail("this is not NAME=VALUE; a name is letters, digits and `_`");
        }
        if self.next() != Some('=') {
            return self.fail("after the name comes `=`, without blanks");
        }
        let value = match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            Some(blank) if is_blank(blank) => {
                self.take_while(is_blank);
                if matches!(self.rest.chars().next(), Some('#' | '\n' | '\r') | None) {
                    Secret::new(Vec::new())
                } else {
                    return self.fail("after `=` comes the value, without blanks");
                }
            }
            _ => self.bare()?,
        };
        self.end_of_line()?;
        Ok(Some((name, value)))
    }

    fn name(&mut self) -> String {
        self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            .to_owned()
    }

    fn bare(&mut self) -> Result<Secret, DotenvError> {
        let line = self.take_while(|letter| letter != '\n');
        let line = line.strip_suffix('\r').unwrap_or(line);
        let end = line.char_indices().find(|(at, letter)| {
            *letter == '#' && line.get(..*at).is_some_and(|before| before.ends_with(is_blank))
        });
        let value = end
            .and_then(|(at, _)| line.get(..at))
            .unwrap_or(line)
            .trim_end_matches(is_blank);
        // Looked at before it is copied: what is refused leaves no copy behind.
        if value.contains(['\'', '"', '`', '\\', '$']) {
            return self
                .fail("a value with a quote, `$`, `` ` `` or `\\` goes into single quotes: NAME='VALUE'");
        }
        Ok(Secret::new(value.as_bytes().to_vec()))
    }

    fn quoted(&mut self, quote: char) -> Result<Secret, DotenvError> {
        let begin = self.line;
        self.next();
        // Room for all of it, so that the text never moves.
        let mut value = zeroize::Zeroizing::new(String::with_capacity(self.length_up_to(quote)));
        loop {
            let Some(letter) = self.next() else {
                return Err(DotenvError {
                    line: begin,
                    problem: "the quote is not closed",
                });
            };
            match letter {
                close if close == quote => return Ok(Secret::new(std::mem::take(&mut *value).into_bytes())),
                '\\' if quote == '"' => value.push(self.escape()?),
                '$' if quote == '"' && self.rest.starts_with(begins_a_name) => {
                    return self
                        .fail("`$NAME` would be expanded by others: write `\\$` or use single quotes");
                }
                '$' if quote == '"' && self.rest.starts_with('(') => {
                    return self
                        .fail("`$(` would run a command in others: write `\\$(` or use single quotes");
                }
                '`' if quote == '"' => {
                    return self
                        .fail("a backquote would run a command in others: write it with `\\` before it or use single quotes");
                }
                letter => value.push(letter),
            }
        }
    }

    fn escape(&mut self) -> Result<char, DotenvError> {
        match self.next() {
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some(letter @ ('\\' | '"' | '$' | '`')) => Ok(letter),
            _ => self.fail("inside double quotes only \\n \\r \\t \\\\ \\\" \\$ \\` are known"),
        }
    }

    /// How many bytes there are before the closing quote.
    fn length_up_to(&self, quote: char) -> usize {
        let mut escaped = false;
        self.rest
            .find(|letter| {
                let closes = letter == quote && !escaped;
                escaped = quote == '"' && letter == '\\' && !escaped;
                closes
            })
            .unwrap_or(0)
    }

    fn end_of_line(&mut self) -> Result<(), DotenvError> {
        self.take_while(is_blank);
        if self.rest.starts_with('#') {
            self.take_while(|letter| letter != '\n');
        }
        self.take_while(|letter| letter == '\r');
        match self.rest.chars().next() {
            None => Ok(()),
            Some('\n') => {
                self.next();
                Ok(())
            }
            Some(_) => self.fail("after the closing quote comes nothing but a comment"),
        }
    }
}

fn begins_a_name(letter: char) -> bool {
    letter == '{' || letter == '_' || letter.is_ascii_alphabetic()
}

fn is_blank(letter: char) -> bool {
    letter == ' ' || letter == '\t'
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let text_of = |secret: &Secret| secret.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        parse(text)
            .unwrap()
            .iter()
            .map(|one| (one.name.clone(), text_of(&one.value)))
            .collect()
    }

    #[test]
    fn values_arrive_as_they_were_written() {
        let text = "\u{feff}# comment\n\nA=1\nexport B_2=two words # comment\nC='it is $5 \\n # \"x\"' # c\r\n\
                    D=\"a\\n\\\"b\\\" \\$HOME $5\"\nJ=\"\\$(id) \\`id\\` (\"\nK='$(id) `id`'\nE=\n  F=a#b=c\nG='two\nlines'\nH=  # nothing\nI=last";
        let expected = [
            ("A", "1"),
            ("B_2", "two words"),
            ("C", "it is $5 \\n # \"x\""),
            ("D", "a\n\"b\" $HOME $5"),
            ("J", "$(id) `id` ("),
            ("K", "$(id) `id`"),
            ("E", ""),
            ("F", "a#b=c"),
            ("G", "two\nlines"),
            ("H", ""),
            ("I", "last"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        assert_eq!(read(text), expected);
    }

    #[test]
    fn what_could_be_read_differently_is_refused_with_its_line() {
        let cases = [
            ("A=1\nB", 2),
            ("A =1", 1),
            ("A= 1", 1),
            ("1A=1", 1),
            ("A-B=1", 1),
            ("A=pa$word", 1),
            ("A=it's", 1),
            ("A=back\\slash", 1),
            ("A=`id`", 1),
            ("\nA=\"$HOME\"", 2),
            ("A=\"${X}\"", 1),
            ("A=1\nB=\"two\nlines $(id)\"", 3),
            ("A=\"$((1+1))\"", 1),
            ("A=1\nB=\"x `id`\"", 2),
            ("A=\"`\"", 1),
            ("A=\"\\x\"", 1),
            ("A='open\n\n", 1),
            ("A=\"open", 1),
            ("A='x'y", 1),
            ("A=1\n\nA=2", 3),
            ("=1", 1),
        ];
        for (text, line) in cases {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let values = [
            "",
            "plain",
            "two words",
            "a'b",
            "a\"b",
            "$HOME",
            "a\nb\r\n'",
            "`id`'",
            "\\'",
            "#x",
            " x ",
            "é\t'",
        ];
        let mut text = Vec::new();
        for (index, value) in values.iter().enumerate() {
            strongroom_core::config::assign(&mut text, &format!("N{index}"), value).unwrap();
        }
        let text = String::from_utf8(text).unwrap();
        let read: Vec<_> = read(&text).into_iter().map(|(_, value)| value).collect();
        assert_eq!(read, values);
    }
}
