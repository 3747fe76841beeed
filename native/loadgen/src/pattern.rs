//! Regular expressions of body checks: translates RE2 syntax, as in specs, to the `regex` crate. Both run in linear
//! time.
//!
//! The dialects differ in details that would change what matches: RE2's `\d`, `\w`, `\s` and `\b` are ASCII, a lone `{`
//! is literal, and in a class `[` and `&&` are literal. `tests/contract/test_regexes.py` compares both engines.

use std::fmt::Write;

use regex::{Regex, RegexBuilder};

/// Size limit of a compiled pattern; patterns accepted by the asyncio engine are far below it.
const MOST_COMPILED_BYTES: usize = 64 * 1024 * 1024;
const MOST_CHARACTERS: usize = 1000;
const DIGITS: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = "\\t\\n\\x0C\\r\\x20";

/// Compiles a pattern of a spec.
///
/// # Errors
/// A message naming what is not supported.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    compiled(pattern, false)
}

/// Compiles a pattern whose groups are captured, by number.
///
/// # Errors
/// As [`compile`].
pub fn compile_with_groups(pattern: &str) -> Result<Regex, String> {
    compiled(pattern, true)
}

fn compiled(pattern: &str, captures: bool) -> Result<Regex, String> {
    if pattern.chars().count() > MOST_CHARACTERS {
        return Err(format!("it has more than {MOST_CHARACTERS} characters"));
    }
    RegexBuilder::new(&translated(pattern, captures)?)
        .size_limit(MOST_COMPILED_BYTES)
        .build()
        .map_err(|error| error.to_string().lines().last().unwrap_or_default().to_owned())
}

fn translated(pattern: &str, captures: bool) -> Result<String, String> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut reader = Reader { characters: &characters, at: 0, out: String::new(), captures };
    while let Some(character) = reader.next() {
        match character {
            '\\' => reader.escape()?,
            '[' => reader.class()?,
            '(' => reader.group(),
            '{' => reader.brace(),
            '*' | '+' | '?' | '|' | ')' | '.' | '^' | '$' => reader.out.push(character),
            other => reader.literal(other),
        }
    }
    Ok(reader.out)
}

struct Reader<'a> {
    characters: &'a [char],
    at: usize,
    out: String,
    /// Groups are captured.
    captures: bool,
}

/// The meaning of an escape.
enum Escape {
    Literal(char),
    /// The content of a class, and whether it is negated.
    Set(&'static str, bool),
    /// `\p{…}`, as written.
    Property(String),
    /// A position, not a character.
    Place(&'static str),
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let character = self.peek(0)?;
        self.at += 1;
        Some(character)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn literal(&mut self, character: char) {
        if character.is_ascii_alphanumeric() || !character.is_ascii() {
            self.out.push(character);
        } else {
            // Writing into a String does not fail.
            let _ = write!(self.out, "\\x{{{:X}}}", u32::from(character));
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.escaped()? {
            Escape::Literal(character) => self.literal(character),
            Escape::Set(set, negated) => self.set(set, negated),
            Escape::Property(text) => self.out.push_str(&text),
            Escape::Place(text) => self.out.push_str(text),
        }
        Ok(())
    }

    fn set(&mut self, set: &str, negated: bool) {
        self.out.push_str(if negated { "[^" } else { "[" });
        self.out.push_str(set);
        self.out.push(']');
    }

    /// Parses the part after a backslash.
    fn escaped(&mut self) -> Result<Escape, String> {
        let Some(character) = self.next() else { return Err("it ends with a backslash".to_owned()) };
        Ok(match character {
            'd' | 'D' => Escape::Set(DIGITS, character == 'D'),
            'w' | 'W' => Escape::Set(WORD, character == 'W'),
            's' | 'S' => Escape::Set(SPACE, character == 'S'),
            'b' => Escape::Place("(?-u:\\b)"),
            'B' => Escape::Place("(?-u:\\B)"),
            'A' => Escape::Place("\\A"),
            'z' => Escape::Place("\\z"),
            'p' | 'P' => self.property(character)?,
            'a' => Escape::Literal('\u{7}'),
            'f' => Escape::Literal('\u{C}'),
            'n' => Escape::Literal('\n'),
            'r' => Escape::Literal('\r'),
            't' => Escape::Literal('\t'),
            'v' => Escape::Literal('\u{B}'),
            'x' => Escape::Literal(self.hexadecimal()?),
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => Escape::Literal(other),
            other => return Err(format!("\\{other} is not supported")),
        })
    }

    fn property(&mut self, letter: char) -> Result<Escape, String> {
        let mut text = format!("\\{letter}");
        if self.peek(0) != Some('{') {
            text.extend(self.next());
            return Ok(Escape::Property(text));
        }
        while let Some(character) = self.next() {
            text.push(character);
            match character {
                '^' => return Err("\\p{^ is not supported".to_owned()),
                '}' => return Ok(Escape::Property(text)),
                _ => {}
            }
        }
        Err("\\p{ is never closed".to_owned())
    }

    fn hexadecimal(&mut self) -> Result<char, String> {
        let digits: String = if self.peek(0) == Some('{') {
            self.at += 1;
            let inside = self.characters[self.at..].iter().take_while(|digit| digit.is_ascii_hexdigit()).collect();
            self.at += String::len(&inside) + 1;
            inside
        } else {
            self.at += 2;
            self.characters.get(self.at - 2..self.at).unwrap_or(&[]).iter().collect()
        };
        u32::from_str_radix(&digits, 16)
            .ok()
            .and_then(char::from_u32)
            .ok_or_else(|| "\\x does not name a character".to_owned())
    }

    /// Parses the start of a group: names do not affect what matches.
    fn group(&mut self) {
        let begin = if self.captures { "(" } else { "(?:" };
        let inside = &self.characters[self.at..];
        let end = inside.iter().position(|character| matches!(character, ':' | ')' | '>')).unwrap_or(inside.len());
        match (inside.first(), inside.get(end)) {
            (Some('?'), Some('>')) => {
                self.at += end + 1;
                self.out.push_str(begin);
            }
            (Some('?'), Some(':' | ')')) => {
                self.out.push('(');
                self.out.extend(&inside[..=end]);
                self.at += end + 1;
            }
            _ => self.out.push_str(begin),
        }
    }

    /// Parses a brace: a repetition if it has that form, else a literal.
    fn brace(&mut self) {
        let inside: String = self.characters[self.at..].iter().take_while(|character| **character != '}').collect();
        let is_number =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() < 2 || !text.starts_with('0'));
        let (least, most) = inside.split_once(',').unwrap_or((&inside, ""));
        let closed = self.peek(inside.chars().count()) == Some('}');
        if closed && !least.is_empty() && is_number(least) && is_number(most) {
            let _ = write!(self.out, "{{{inside}}}");
            self.at += inside.len() + 1;
        } else {
            self.literal('{');
        }
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.peek(0) == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        let begin = self.at;
        loop {
            let at = self.at;
            let Some(character) = self.next() else { return Err("a class is never closed".to_owned()) };
            match character {
                ']' if at > begin => break,
                '[' if self.peek(0) == Some(':') && self.named_class() => {}
                _ => self.class_item(character)?,
            }
        }
        self.out.push(']');
        Ok(())
    }

    /// Parses `[:alpha:]`; false if there is none.
    fn named_class(&mut self) -> bool {
        let rest = &self.characters[self.at..];
        let Some(end) = rest.windows(2).position(|pair| pair == [':', ']']).filter(|end| *end > 0) else {
            return false;
        };
        self.out.push('[');
        self.out.extend(&rest[..end + 2]);
        self.at += end + 2;
        true
    }

    /// Parses a character, range or set of a class after its first character.
    fn class_item(&mut self, character: char) -> Result<(), String> {
        let first = match self.class_character(character)? {
            Escape::Literal(first) => first,
            Escape::Set(set, true) => {
                self.set(set, true);
                return Ok(());
            }
            Escape::Set(set, false) => {
                self.out.push_str(set);
                return Ok(());
            }
            Escape::Property(text) => {
                self.out.push_str(&text);
                return Ok(());
            }
            Escape::Place(_) => return Err("a place has no meaning in a class".to_owned()),
        };
        self.literal(first);
        if self.peek(0) == Some('-') && self.peek(1).is_some_and(|next| next != ']') {
            self.at += 1;
            let end = self.next().unwrap_or(']');
            let Escape::Literal(last) = self.class_character(end)? else {
                return Err("a range of a class ends with a set".to_owned());
            };
            self.out.push('-');
            self.literal(last);
        }
        Ok(())
    }

    fn class_character(&mut self, character: char) -> Result<Escape, String> {
        if character == '\\' { self.escaped() } else { Ok(Escape::Literal(character)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_re2_means_by_it() {
        for (pattern, matching, other) in [
            (r"^\d+$", "12", "\u{663}"),
            (r"\bcafe\b", "un cafe.", "cafes"),
            (r"^\w$", "_", "é"),
            (r"^[\w-]+$", "a-b", "a b"),
            (r"^[^\d]$", "é", "7"),
            (r"^[[a&&b]+$", "[&ab", "c"),
            (r"^a{,2}$", "a{,2}", "aa"),
            (r"^a{2}$", "aa", "a{2}"),
            (r"^a{02}$", "a{02}", "aa"),
            (r"^[]a]$", "]", "b"),
            (r"^[[:alpha:]\.]+$", "a.b", "é"),
            (r"^(?P<x>a)(?<y>b)(?i:C)(?-s).$", "abcd", "abc\n"),
            (r"^\x{E9}\x41\<\_$", "éA<_", "éA_"),
            (r"^\pL\p{Greek}\P{Greek}$", "aαa", "aaa"),
            (r"^[a-]$", "-", "b"),
            (r"^\S\D\W\B$", "éé-", "é7-"),
        ] {
            let regex = compile(pattern).unwrap();
            assert!(regex.is_match(matching), "{pattern} on {matching}");
            assert!(!regex.is_match(other), "{pattern} on {other}");
        }
    }

    #[test]
    fn what_is_not_of_the_dialect_is_refused() {
        for pattern in [
            "(?=a)",
            "(?<!a)b",
            r"(a)\1",
            r"\C",
            r"\Qa",
            r"\012",
            r"\Z",
            r"\p{^Greek}",
            r"[\b]",
            "(",
            "[a",
            r"a\",
            r"\x{D800}",
            r"\xZZ",
            "a{1001}{1000}{1000}",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
        assert!(compile(&"a".repeat(1001)).is_err());
    }

    #[test]
    fn nested_repetitions_take_linear_time() {
        let regex = compile("^(a+)+$").unwrap();
        assert!(!regex.is_match(&format!("{}!", "a".repeat(1_000_000))));
    }
}
