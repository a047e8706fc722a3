//! JSON, read with `serde` and with nothing that a small policy does not need: numbers with a fraction are parsed
//! only where a policy asks for one, and errors know the key that they are about. With `serde_json` and what
//! tracks the path beside it, a policy with one setting has more than twice the size.

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};

use serde::de::{
    self, DeserializeSeed, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

/// What is said where nothing is that could be a value.
const NO_VALUE: &str = "there is no JSON value";
/// How deep values may be nested.
const MAX_DEPTH: u32 = 64;

/// Why a value is not what is asked for.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Where, such as `nested.names[0]`; empty for the whole.
    pub(super) path: String,
    pub(super) cause: String,
}

impl Wrong {
    fn syntax(cause: &str) -> Self {
        Self {
            path: String::new(),
            cause: cause.to_owned(),
        }
    }

    fn below(mut self, place: &str) -> Self {
        let mut path = place.to_owned();
        if !self.path.is_empty() && !self.path.starts_with('[') {
            path.push('.');
        }
        path.push_str(&self.path);
        self.path = path;
        self
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: Display>(cause: T) -> Self {
        Self::syntax(&cause.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "invalid type: {}, expected {expected}",
            Found(found)
        ))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "invalid value: {}, expected {expected}",
            Found(found)
        ))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!(
            "unknown value `{variant}`, {}",
            OneOf(expected)
        ))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!(
            "unknown setting `{field}`, {}",
            OneOf(expected)
        ))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("missing setting `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(format_args!("setting `{field}` is there twice"))
    }
}

/// What was found: as serde says it, without what prints numbers with a fraction.
struct Found<'a>(Unexpected<'a>);

impl Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(yes) => write!(f, "boolean `{yes}`"),
            Unexpected::Unsigned(number) => write!(f, "integer `{number}`"),
            Unexpected::Signed(number) => write!(f, "integer `{number}`"),
            Unexpected::Float(_) => f.write_str("number with a fraction"),
            Unexpected::Str(text) => write!(f, "string \"{text}\""),
            Unexpected::Unit | Unexpected::Option => f.write_str("null"),
            Unexpected::Seq => f.write_str("list"),
            Unexpected::Map => f.write_str("table"),
            Unexpected::Other(other) => f.write_str(other),
            _ => f.write_str("something else"),
        }
    }
}

/// The names that there are.
struct OneOf(&'static [&'static str]);

impl Display for OneOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("this policy takes none"),
            [one] => write!(f, "expected `{one}`"),
            [one, other] => write!(f, "expected `{one}` or `{other}`"),
            [first, more @ ..] => {
                write!(f, "expected one of `{first}`")?;
                more.iter().try_for_each(|name| write!(f, ", `{name}`"))
            }
        }
    }
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // Writing to a text cannot fail.
            '\0'..='\x1f' => {
                let _ = write!(quoted, "\\u{:04x}", char as u32);
            }
            _ => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// What is left to be read. Texts are cut with `get`, never by index: what panics on a wrong index can print the
/// text, which takes more of a component than this whole module.
pub(super) struct Reader<'de> {
    rest: &'de str,
    depth: u32,
}

/// What a value begins as.
enum Start<'de> {
    Null,
    Bool(bool),
    Text(Cow<'de, str>),
    Whole(u64),
    Negative(i64),
    /// As it is written.
    Fraction(&'de str),
    List,
    Table,
}

impl<'de> Reader<'de> {
    pub(super) fn new(json: &'de str) -> Self {
        Self {
            rest: json,
            depth: 0,
        }
    }

    /// Nothing may follow.
    pub(super) fn end(mut self) -> Result<(), Wrong> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Wrong::syntax("trailing characters")),
        }
    }

    /// What comes next, behind any white space.
    fn peek(&mut self) -> Option<u8> {
        let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let spaces = self.rest.bytes().take_while(space).count();
        self.advance(spaces);
        self.rest.bytes().next()
    }

    /// Takes so many bytes, which end between characters.
    fn advance(&mut self, bytes: usize) -> &'de str {
        let taken = self.rest.get(..bytes).unwrap_or_default();
        self.rest = self.rest.get(taken.len()..).unwrap_or_default();
        taken
    }

    fn take(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.advance(1);
        }
        is_next
    }

    fn expect(&mut self, wanted: u8, what: &str) -> Result<(), Wrong> {
        if self.take(wanted) {
            return Ok(());
        }
        Err(Wrong::syntax(what))
    }

    fn word(&mut self, word: &str) -> Result<(), Wrong> {
        if self.advance(word.len()) == word {
            return Ok(());
        }
        Err(Wrong::syntax(NO_VALUE))
    }

    /// Reads a value that is no list or table, or the beginning of one.
    fn start(&mut self) -> Result<Start<'de>, Wrong> {
        match self.peek() {
            Some(b'n') => self.word("null").map(|()| Start::Null),
            Some(b't') => self.word("true").map(|()| Start::Bool(true)),
            Some(b'f') => self.word("false").map(|()| Start::Bool(false)),
            Some(b'"') => self.text().map(Start::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(open @ (b'[' | b'{')) => {
                self.advance(1);
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(Wrong::syntax("values are nested too deep"));
                }
                Ok(if open == b'[' {
                    Start::List
                } else {
                    Start::Table
                })
            }
            _ => Err(Wrong::syntax(NO_VALUE)),
        }
    }

    fn number(&mut self) -> Result<Start<'de>, Wrong> {
        let before = self.rest;
        let is_negative = self.take(b'-');
        let whole = self.digits();
        let mut is_number = whole.len() == 1 || (!whole.is_empty() && !whole.starts_with('0'));
        let mut is_whole = true;
        if self.rest.starts_with('.') {
            self.advance(1);
            is_whole = false;
            is_number &= !self.digits().is_empty();
        }
        if self.rest.starts_with(['e', 'E']) {
            self.advance(1);
            is_whole = false;
            if self.rest.starts_with(['+', '-']) {
                self.advance(1);
            }
            is_number &= !self.digits().is_empty();
        }
        if !is_number {
            return Err(Wrong::syntax("a number is not written as JSON has it"));
        }
        let written = before.get(..before.len() - self.rest.len());
        let fraction = Start::Fraction(written.unwrap_or_default());
        if !is_whole {
            return Ok(fraction);
        }
        let add = |number: u64, digit: u8| {
            let number = number.checked_mul(10)?;
            number.checked_add(u64::from(digit - b'0'))
        };
        let number = whole.bytes().try_fold(0, add);
        Ok(match number {
            Some(number) if !is_negative => Start::Whole(number),
            Some(number) => 0i64
                .checked_sub_unsigned(number)
                .map_or(fraction, Start::Negative),
            None => fraction,
        })
    }

    fn digits(&mut self) -> &'de str {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        self.advance(count)
    }

    /// A text; borrowed unless something in it is escaped.
    fn text(&mut self) -> Result<Cow<'de, str>, Wrong> {
        self.advance(1);
        let mut owned: Option<String> = None;
        loop {
            let stops = |byte: &u8| *byte != b'"' && *byte != b'\\' && *byte >= 0x20;
            let plain = self.rest.bytes().take_while(stops).count();
            let piece = self.advance(plain);
            match self.advance(1) {
                "\"" => {
                    return Ok(match owned {
                        None => Cow::Borrowed(piece),
                        Some(text) => Cow::Owned(text + piece),
                    });
                }
                "\\" => {
                    let text = owned.get_or_insert_default();
                    text.push_str(piece);
                    text.push(self.escaped().ok_or_else(|| {
                        Wrong::syntax("a text has an escape that JSON does not have")
                    })?);
                }
                "" => return Err(Wrong::syntax("a text has no end")),
                _ => return Err(Wrong::syntax("a text has a control character")),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.advance(1) {
            "\"" => '"',
            "\\" => '\\',
            "/" => '/',
            "b" => '\x08',
            "f" => '\x0c',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            "u" => {
                let first = self.hex()?;
                let code = if (0xd800..0xdc00).contains(&first) {
                    if self.advance(2) != "\\u" {
                        return None;
                    }
                    let second = self.hex().filter(|code| (0xdc00..0xe000).contains(code))?;
                    0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                char::from_u32(code)?
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.advance(4);
        let add = |code: u32, digit: char| Some(code << 4 | digit.to_digit(16)?);
        (digits.len() == 4).then_some(())?;
        digits.chars().try_fold(0, add)
    }

    /// Reads to the end of a value that nobody wants.
    fn skip(&mut self) -> Result<(), Wrong> {
        let (close, is_table) = match self.start()? {
            Start::List => (b']', false),
            Start::Table => (b'}', true),
            _ => return Ok(()),
        };
        let mut items = Items::new(self, close);
        while items.next()? {
            if is_table {
                items.key()?;
            }
            items.reader.skip()?;
        }
        Ok(())
    }

    /// Says what is there instead of what is wanted.
    fn unlike<'v, V: Visitor<'v>>(start: &Start<'_>, visitor: &V) -> Wrong {
        let found = match start {
            Start::Null => Unexpected::Unit,
            Start::Bool(yes) => Unexpected::Bool(*yes),
            Start::Text(text) => Unexpected::Str(text),
            Start::Whole(number) => Unexpected::Unsigned(*number),
            Start::Negative(number) => Unexpected::Signed(*number),
            Start::Fraction(_) => Unexpected::Float(0.0),
            Start::List => Unexpected::Seq,
            Start::Table => Unexpected::Map,
        };
        de::Error::invalid_type(found, visitor)
    }

    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Wrong> {
        let mut items = Items::new(self, b']');
        let value = visitor.visit_seq(&mut items)?;
        items.close("a list goes on")?;
        Ok(value)
    }

    fn table<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Wrong> {
        let mut items = Items::new(self, b'}');
        let value = visitor.visit_map(&mut items)?;
        items.close("a table goes on")?;
        Ok(value)
    }
}

/// The items of a list or a table.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    close: u8,
    count: usize,
    is_over: bool,
    key: Cow<'de, str>,
}

impl<'a, 'de> Items<'a, 'de> {
    fn new(reader: &'a mut Reader<'de>, close: u8) -> Self {
        Self {
            reader,
            close,
            count: 0,
            is_over: false,
            key: Cow::Borrowed(""),
        }
    }

    /// Whether there is another one.
    fn next(&mut self) -> Result<bool, Wrong> {
        if self.is_over {
            return Ok(false);
        }
        if self.reader.take(self.close) {
            self.reader.depth -= 1;
            self.is_over = true;
            return Ok(false);
        }
        if self.count > 0 {
            self.reader
                .expect(b',', "a comma, or the end of a list or table, is missing")?;
        }
        self.count += 1;
        Ok(true)
    }

    fn key(&mut self) -> Result<Cow<'de, str>, Wrong> {
        if self.reader.peek() != Some(b'"') {
            return Err(Wrong::syntax("a key is missing"));
        }
        let key = self.reader.text()?;
        self.reader.expect(b':', "a colon is missing")?;
        Ok(key)
    }

    fn close(&mut self, otherwise: &str) -> Result<(), Wrong> {
        if self.next()? {
            return Err(Wrong::syntax(otherwise));
        }
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        if !self.next()? {
            return Ok(None);
        }
        let index = self.count - 1;
        let value = seed.deserialize(&mut *self.reader);
        value
            .map(Some)
            .map_err(|wrong| wrong.below(&format!("[{index}]")))
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        if !self.next()? {
            return Ok(None);
        }
        self.key = self.key()?;
        let key = &*self.key;
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let value = seed.deserialize(&mut *self.reader);
        value.map_err(|wrong| wrong.below(&self.key))
    }
}

/// A value of an enum: a word, or a table of one key.
impl<'de> EnumAccess<'de> for &mut Items<'_, 'de> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Wrong> {
        if !self.next()? {
            return Err(Wrong::syntax("a key is missing"));
        }
        self.key = self.key()?;
        let key = &*self.key;
        let variant = seed.deserialize(key.into_deserializer())?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Items<'_, 'de> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Err(Wrong::syntax("this value stands alone, without a table"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        let value = seed.deserialize(&mut *self.reader);
        value.map_err(|wrong| wrong.below(&self.key))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        let value = de::Deserializer::deserialize_seq(&mut *self.reader, visitor);
        value.map_err(|wrong| wrong.below(&self.key))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let value = de::Deserializer::deserialize_map(&mut *self.reader, visitor);
        value.map_err(|wrong| wrong.below(&self.key))
    }
}

/// Whole numbers of one sign.
macro_rules! integers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.integer(visitor)
        })*
    };
}

impl<'de> Reader<'de> {
    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Wrong> {
        match self.start()? {
            Start::Whole(number) => visitor.visit_u64(number),
            Start::Negative(number) => visitor.visit_i64(number),
            other => Err(Self::unlike(&other, &visitor)),
        }
    }
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Wrong;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_i128 deserialize_u128
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.start()? {
            Start::Null => visitor.visit_unit(),
            Start::Bool(yes) => visitor.visit_bool(yes),
            Start::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Start::Text(Cow::Owned(text)) => visitor.visit_string(text),
            Start::Whole(number) => visitor.visit_u64(number),
            Start::Negative(number) => visitor.visit_i64(number),
            Start::Fraction(number) => {
                visitor.visit_f64(number.parse().map_err(de::Error::custom)?)
            }
            Start::List => self.list(visitor),
            Start::Table => self.table(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.start()? {
            Start::Bool(yes) => visitor.visit_bool(yes),
            other => Err(Reader::unlike(&other, &visitor)),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.start()? {
            Start::Whole(number) => visitor.visit_u64(number),
            Start::Negative(number) => visitor.visit_i64(number),
            Start::Fraction(number) => {
                visitor.visit_f64(number.parse().map_err(de::Error::custom)?)
            }
            other => Err(Reader::unlike(&other, &visitor)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.start()? {
            Start::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Start::Text(Cow::Owned(text)) => visitor.visit_string(text),
            other => Err(Reader::unlike(&other, &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.peek() == Some(b'n') {
            self.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.start()? {
            Start::Null => visitor.visit_unit(),
            other => Err(Reader::unlike(&other, &visitor)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.start()? {
            Start::List => self.list(visitor),
            other => Err(Reader::unlike(&other, &visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.start()? {
            Start::Table => self.table(visitor),
            other => Err(Reader::unlike(&other, &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.start()? {
            Start::Text(text) => visitor.visit_enum((&*text).into_deserializer()),
            Start::Table => {
                let mut items = Items::new(self, b'}');
                let value = visitor.visit_enum(&mut items)?;
                items.close("a value has two kinds at once")?;
                Ok(value)
            }
            other => Err(Reader::unlike(&other, &visitor)),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.skip()?;
        visitor.visit_unit()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    fn read<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, Wrong> {
        let mut reader = Reader::new(json);
        let value = T::deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    fn json() -> impl Strategy<Value = Value> {
        let number = any::<f64>().prop_filter_map("is in JSON", serde_json::Number::from_f64);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            number.prop_map(Value::Number),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_read_as_serde_json_reads_it(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("is written");
            prop_assert_eq!(read::<Value>(&text).expect("is read"), value);
            prop_assert!(read::<de::IgnoredAny>(&text).is_ok());
        }

        #[test]
        fn what_serde_json_refuses_is_refused(text in "[\\[\\]{}:,\"\\\\untrue0-9.eE+-]{0,12}") {
            let theirs = serde_json::from_str::<Value>(&text);
            let ours = read::<Value>(&text);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?}: {:?}, {:?}", text, ours, theirs);
        }

        #[test]
        fn every_text_survives_being_quoted(text: String) {
            prop_assert_eq!(read::<String>(&quoted(&text)).expect("is read"), text);
        }
    }

    #[test]
    fn values_nested_without_an_end_are_refused() {
        let wrong = read::<Value>(&"[".repeat(100_000)).expect_err("is refused");
        assert_eq!(wrong.cause, "values are nested too deep");
    }

    #[test]
    fn enums_are_words_or_tables_of_one_key() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum Shape {
            Point,
            Round { radius: u8 },
            Named(String),
        }
        assert_eq!(read(r#""point""#).ok(), Some(Shape::Point));
        assert_eq!(
            read(r#"{"round": {"radius": 3}}"#).ok(),
            Some(Shape::Round { radius: 3 })
        );
        assert_eq!(
            read(r#"{"named": "\u00e9"}"#).ok(),
            Some(Shape::Named("é".to_owned()))
        );
        let wrong = read::<Shape>(r#"{"round": {"radius": 300}}"#).expect_err("is too large");
        assert_eq!(wrong.path, "round.radius");
        let wrong = read::<Shape>(r#""oval""#).expect_err("is none");
        assert_eq!(
            wrong.cause,
            "unknown value `oval`, expected one of `point`, `round`, `named`"
        );
    }
}
