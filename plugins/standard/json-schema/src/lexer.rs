//! JSON (RFC 8259) as it comes: where values begin and end, and what they are.

use crate::utf8::Utf8;

/// The most bytes of a string or a number that are kept.
pub(crate) const MAX_TEXT_BYTES: usize = 64 << 10;
/// How deep values may be nested.
pub(crate) const MAX_DEPTH: usize = 64;

/// Takes what is found, in the order of the file.
pub(crate) trait Sink {
    /// An object or an array begins at this byte.
    fn begin(&mut self, is_object: bool, at: u64);
    /// The innermost one ends.
    fn end(&mut self);
    /// A key of the innermost object.
    fn key(&mut self, key: Text<'_>);
    /// A value that has no others in it.
    fn scalar(&mut self, scalar: Scalar<'_>, at: u64);
}

/// A string, as far as it was kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) text: &'a str,
    /// It is longer, and this is only its beginning.
    pub(crate) is_cut: bool,
}

/// A value that has no others in it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Text<'a>),
}

/// Why something is no JSON, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) what: &'static str,
    pub(crate) at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value; the flag says whether the array may end instead.
    Value(bool),
    /// What follows a value.
    After,
    /// A key; the flag says whether the object may end instead.
    Key(bool),
    Colon,
    Text,
    Escape,
    /// So many hexadecimal digits are missing.
    Unicode(u8),
    Number,
    Literal,
    /// One value has come, and only white space may follow.
    Over,
}

/// Reads one value.
pub(crate) struct Lexer {
    state: State,
    /// For each open value whether it is an object.
    open: Vec<bool>,
    /// What is being read: a string, a number or a word.
    text: Vec<u8>,
    is_cut: bool,
    is_key: bool,
    began: u64,
    utf8: Utf8,
    code: u32,
    /// The first half of a pair of escapes.
    high: Option<u32>,
}

impl Lexer {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Value(false),
            open: Vec::new(),
            text: Vec::new(),
            is_cut: false,
            is_key: false,
            began: 0,
            utf8: Utf8::default(),
            code: 0,
            high: None,
        }
    }

    /// Whether nothing but white space has come.
    pub(crate) fn is_fresh(&self) -> bool {
        self.state == State::Value(false) && self.open.is_empty()
    }

    /// Whether a value is complete.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes the bytes from `at` on.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        at: u64,
        sink: &mut impl Sink,
    ) -> Result<(), Wrong> {
        let mut rest = bytes;
        while let Some(byte) = rest.first() {
            let here = at + (bytes.len() - rest.len()) as u64;
            let used = match self.state {
                State::Text => self.run(rest, here, sink)?,
                _ => usize::from(self.step(*byte, here, sink)?),
            };
            rest = &rest[used..];
        }
        Ok(())
    }

    /// The end of the value.
    pub(crate) fn finish(&mut self, at: u64, sink: &mut impl Sink) -> Result<(), Wrong> {
        if matches!(self.state, State::Number | State::Literal) {
            self.close(sink)?;
        }
        match self.state {
            State::Over => Ok(()),
            _ => Err(Wrong {
                what: "the value has no end",
                at,
            }),
        }
    }

    /// Takes a byte; false when it is to be looked at again.
    fn step(&mut self, byte: u8, at: u64, sink: &mut impl Sink) -> Result<bool, Wrong> {
        let wrong = |what| Err(Wrong { what, at });
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
            && !matches!(
                self.state,
                State::Escape | State::Unicode(_) | State::Number | State::Literal
            )
        {
            return Ok(true);
        }
        match self.state {
            State::Value(may_end) => match byte {
                b'{' | b'[' => self.open(byte == b'{', at, sink)?,
                b'"' => self.begin_text(false, at),
                b'-' | b'0'..=b'9' => self.begin(State::Number, byte, at),
                b't' | b'f' | b'n' => self.begin(State::Literal, byte, at),
                b']' if may_end => self.end(sink),
                _ => return wrong("a value is missing"),
            },
            State::Key(may_end) => match byte {
                b'"' => self.begin_text(true, at),
                b'}' if may_end => self.end(sink),
                _ => return wrong("a key is missing"),
            },
            State::Colon if byte == b':' => self.state = State::Value(false),
            State::Colon => return wrong("a colon is missing"),
            State::After => match (byte, self.open.last()) {
                (b',', Some(true)) => self.state = State::Key(false),
                (b',', Some(false)) => self.state = State::Value(false),
                (b'}', Some(true)) | (b']', Some(false)) => self.end(sink),
                _ => return wrong("a comma, or the end of an object or array, is missing"),
            },
            State::Escape => self.escape(byte, at)?,
            State::Unicode(missing) => self.unicode(byte, missing, at)?,
            State::Number => match byte {
                b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' => self.keep(byte),
                _ => {
                    self.close(sink)?;
                    return Ok(false);
                }
            },
            State::Literal if byte.is_ascii_lowercase() => self.keep(byte),
            State::Literal => {
                self.close(sink)?;
                return Ok(false);
            }
            State::Over => return wrong("something follows the value"),
            State::Text => {}
        }
        Ok(true)
    }

    fn open(&mut self, is_object: bool, at: u64, sink: &mut impl Sink) -> Result<(), Wrong> {
        if self.open.len() == MAX_DEPTH {
            return Err(Wrong {
                what: "values are nested more than 64 deep",
                at,
            });
        }
        self.open.push(is_object);
        self.state = if is_object {
            State::Key(true)
        } else {
            State::Value(true)
        };
        sink.begin(is_object, at);
        Ok(())
    }

    fn end(&mut self, sink: &mut impl Sink) {
        self.open.pop();
        self.after_value();
        sink.end();
    }

    fn after_value(&mut self) {
        self.state = if self.open.is_empty() {
            State::Over
        } else {
            State::After
        };
    }

    fn begin(&mut self, state: State, byte: u8, at: u64) {
        self.state = state;
        self.text.clear();
        self.is_cut = false;
        self.began = at;
        self.keep(byte);
    }

    fn begin_text(&mut self, is_key: bool, at: u64) {
        self.state = State::Text;
        self.text.clear();
        self.is_cut = false;
        self.is_key = is_key;
        self.began = at;
    }

    fn keep(&mut self, byte: u8) {
        if self.text.len() < MAX_TEXT_BYTES {
            self.text.push(byte);
        } else {
            self.is_cut = true;
        }
    }

    /// Takes what is plain in a string, and the byte behind it.
    fn run(&mut self, bytes: &[u8], at: u64, sink: &mut impl Sink) -> Result<usize, Wrong> {
        let is_plain = |byte: &&u8| (0x20..0x7f).contains(*byte) && !matches!(**byte, b'"' | b'\\');
        let plain = bytes.iter().take_while(is_plain).count();
        let wrong = |what| Wrong {
            what,
            at: at + plain as u64,
        };
        if plain > 0 {
            if !self.utf8.is_whole() || self.high.is_some() {
                return Err(wrong("a string has half a character"));
            }
            let room = (MAX_TEXT_BYTES - self.text.len()).min(plain);
            self.text.extend_from_slice(&bytes[..room]);
            self.is_cut |= room < plain;
        }
        let Some(byte) = bytes.get(plain) else {
            return Ok(plain);
        };
        let is_half =
            !self.utf8.is_whole() && *byte < 0x80 || self.high.is_some() && *byte != b'\\';
        if is_half {
            return Err(wrong("a string has half a character"));
        }
        match byte {
            b'"' => self.end_text(sink),
            b'\\' => self.state = State::Escape,
            0x80.. => {
                if !self.utf8.push(*byte) {
                    return Err(wrong("a string is not UTF-8"));
                }
                self.keep(*byte);
            }
            0x7f => self.keep(*byte),
            _ => return Err(wrong("a string has a control character")),
        }
        Ok(plain + 1)
    }

    fn end_text(&mut self, sink: &mut impl Sink) {
        let kept = match std::str::from_utf8(&self.text) {
            Ok(text) => text,
            // Only where it was cut.
            Err(error) => {
                std::str::from_utf8(&self.text[..error.valid_up_to()]).unwrap_or_default()
            }
        };
        let text = Text {
            text: kept,
            is_cut: self.is_cut,
        };
        if self.is_key {
            self.state = State::Colon;
            sink.key(text);
            return;
        }
        sink.scalar(Scalar::Text(text), self.began);
        self.after_value();
    }

    fn escape(&mut self, byte: u8, at: u64) -> Result<(), Wrong> {
        let char = match byte {
            b'u' => {
                self.code = 0;
                self.state = State::Unicode(4);
                return Ok(());
            }
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => {
                return Err(Wrong {
                    what: "a string has an escape that JSON does not have",
                    at,
                });
            }
        };
        if self.high.is_some() {
            return Err(Wrong {
                what: "a string has half a character",
                at,
            });
        }
        self.keep(char);
        self.state = State::Text;
        Ok(())
    }

    fn unicode(&mut self, byte: u8, missing: u8, at: u64) -> Result<(), Wrong> {
        let digit = char::from(byte).to_digit(16);
        let wrong = |what| Wrong { what, at };
        let digit = digit.ok_or_else(|| wrong("a string has an escape that JSON does not have"))?;
        self.code = self.code << 4 | digit;
        if missing > 1 {
            self.state = State::Unicode(missing - 1);
            return Ok(());
        }
        self.state = State::Text;
        let code = match (self.high.take(), self.code) {
            (None, 0xd800..=0xdbff) => {
                self.high = Some(self.code);
                return Ok(());
            }
            (Some(high), 0xdc00..=0xdfff) => {
                0x10000 + ((high - 0xd800) << 10) + (self.code - 0xdc00)
            }
            (Some(_), _) => return Err(wrong("a string has half a character")),
            (None, code) => code,
        };
        let char = char::from_u32(code).ok_or_else(|| wrong("a string has half a character"))?;
        let mut bytes = [0; 4];
        char.encode_utf8(&mut bytes)
            .bytes()
            .for_each(|byte| self.keep(byte));
        Ok(())
    }

    /// The end of a number or a word.
    fn close(&mut self, sink: &mut impl Sink) -> Result<(), Wrong> {
        let text = std::mem::take(&mut self.text);
        let scalar = match (self.state, text.as_slice()) {
            (State::Literal, b"null") => Some(Scalar::Null),
            (State::Literal, b"true") => Some(Scalar::Bool(true)),
            (State::Literal, b"false") => Some(Scalar::Bool(false)),
            (State::Number, digits) if is_number(digits) && !self.is_cut => {
                std::str::from_utf8(digits).ok().map(Scalar::Number)
            }
            _ => None,
        };
        let Some(scalar) = scalar else {
            return Err(Wrong {
                what: "a value is not one that JSON has",
                at: self.began,
            });
        };
        sink.scalar(scalar, self.began);
        self.text = text;
        self.after_value();
        Ok(())
    }
}

/// Whether this is a number of JSON.
fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(text);
    let mut rest = &text[whole..];
    if whole == 0 || whole > 1 && text[0] == b'0' {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let signed = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-"));
        let exponent = signed.unwrap_or(exponent);
        let length = digits(exponent);
        return length > 0 && length == exponent.len();
    }
    rest.is_empty()
}
