//! A JSON Schema (draft 2020-12), compiled: which keywords it has at which place, and how places refer to each other.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::{Map, Value};

use crate::format::Format;
use crate::number::Number;

/// The most places of a schema.
const MAX_NODES: usize = 20_000;

/// Keywords that say something and ask for nothing.
const SAID: [&str; 14] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "$anchor",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentMediaType",
];

/// A place of a schema, by its number.
pub(crate) type NodeId = usize;

/// All places.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
}

/// What is asked for at one place.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// Nothing fits: the schema `false`.
    pub(crate) never: bool,
    pub(crate) types: Option<Types>,
    /// Of `enum` or `const`.
    pub(crate) values: Option<Vec<Known>>,
    pub(crate) minimum: Option<Number>,
    pub(crate) maximum: Option<Number>,
    pub(crate) above: Option<Number>,
    pub(crate) below: Option<Number>,
    pub(crate) multiple_of: Option<Number>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) format: Option<Format>,
    pub(crate) properties: BTreeMap<String, NodeId>,
    pub(crate) pattern_properties: Vec<(Regex, NodeId)>,
    pub(crate) additional: Option<NodeId>,
    pub(crate) property_names: Option<NodeId>,
    /// Names whose presence matters, and of them those that must be there.
    pub(crate) names: Vec<String>,
    pub(crate) required: Vec<usize>,
    /// Where the first is there, the second must be.
    pub(crate) dependent: Vec<(usize, usize)>,
    pub(crate) min_properties: Option<u64>,
    pub(crate) max_properties: Option<u64>,
    pub(crate) prefix_items: Vec<NodeId>,
    pub(crate) items: Option<NodeId>,
    pub(crate) min_items: Option<u64>,
    pub(crate) max_items: Option<u64>,
    pub(crate) unique_items: bool,
    pub(crate) contains: Option<(NodeId, u64, Option<u64>)>,
    /// `allOf` and `$ref`.
    pub(crate) all_of: Vec<NodeId>,
    pub(crate) any_of: Vec<NodeId>,
    pub(crate) one_of: Vec<NodeId>,
    pub(crate) not: Option<NodeId>,
    pub(crate) condition: Option<(NodeId, Option<NodeId>, Option<NodeId>)>,
}

/// Types, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(u8);

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null = 1,
    Boolean = 2,
    Object = 4,
    Array = 8,
    Number = 16,
    String = 32,
    /// A number without a fraction: it is a number too.
    Integer = 64,
}

impl Type {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Null, "null"),
        (Self::Boolean, "boolean"),
        (Self::Object, "object"),
        (Self::Array, "array"),
        (Self::Number, "number"),
        (Self::String, "string"),
        (Self::Integer, "integer"),
    ];

    pub(crate) fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(known, _)| *known == self);
        known.map_or("", |(_, name)| name)
    }
}

impl Types {
    pub(crate) fn has(self, found: Type) -> bool {
        let found = match found {
            Type::Integer => Type::Integer as u8 | Type::Number as u8,
            other => other as u8,
        };
        self.0 & found != 0
    }

    /// All of them, for a sentence.
    pub(crate) fn names(self) -> String {
        let names = Type::ALL
            .iter()
            .filter(|(known, _)| self.0 & *known as u8 != 0);
        names
            .map(|(_, name)| *name)
            .collect::<Vec<_>>()
            .join(" or ")
    }
}

/// A value without others in it, as the schema has it.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    Null,
    Bool(bool),
    Number(Number, String),
    Text(String),
}

impl PartialEq for Known {
    /// By value: 1.0 is 1, however it is written.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Number(one, _), Self::Number(other, _)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            _ => false,
        }
    }
}

impl Node {
    /// Both `enum` and `const` may say what is allowed; then only what both allow is.
    fn allow_only(&mut self, mut values: Vec<Known>) {
        if let Some(allowed) = &self.values {
            values.retain(|value| allowed.contains(value));
        }
        self.values = Some(values);
    }
}

impl Known {
    /// As the schema writes it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(yes) => yes.to_string(),
            Self::Number(_, text) | Self::Text(text) => text.clone(),
        }
    }
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and at which place.
    pub(crate) fn compile(text: &[u8]) -> Result<Self, String> {
        let document: Value =
            serde_json::from_slice(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let mut compiler = Compiler {
            document: &document,
            nodes: Vec::new(),
            known: BTreeMap::new(),
        };
        let root = compiler.place("")?;
        let schema = Self {
            nodes: compiler.nodes,
            root,
        };
        if schema.goes_round() {
            return Err("a `$ref` leads back to itself without going into a value".to_owned());
        }
        Ok(schema)
    }

    /// Whether a place applies itself to the same value again.
    fn goes_round(&self) -> bool {
        // 0: not visited, 1: on the way, 2: done.
        let mut marks = vec![0u8; self.nodes.len()];
        (0..self.nodes.len()).any(|node| self.leads_back(node, &mut marks))
    }

    fn leads_back(&self, node: NodeId, marks: &mut [u8]) -> bool {
        match marks[node] {
            1 => return true,
            2 => return false,
            _ => marks[node] = 1,
        }
        let here = &self.nodes[node];
        let condition = here.condition.iter();
        let condition = condition.flat_map(|(test, then, other)| [Some(*test), *then, *other]);
        let same = here
            .all_of
            .iter()
            .chain(&here.any_of)
            .chain(&here.one_of)
            .chain(&here.not);
        let same: Vec<NodeId> = same.copied().chain(condition.flatten()).collect();
        let back = same.into_iter().any(|next| self.leads_back(next, marks));
        marks[node] = 2;
        back
    }
}

struct Compiler<'a> {
    document: &'a Value,
    nodes: Vec<Node>,
    /// Places that were compiled, by their pointers.
    known: BTreeMap<String, NodeId>,
}

impl Compiler<'_> {
    /// The place at a JSON pointer (RFC 6901).
    fn place(&mut self, pointer: &str) -> Result<NodeId, String> {
        if let Some(known) = self.known.get(pointer) {
            return Ok(*known);
        }
        let shown = if pointer.is_empty() { "/" } else { pointer };
        let Some(value) = self.document.pointer(pointer) else {
            return Err(format!(
                "there is nothing at `{shown}`, to which a `$ref` leads"
            ));
        };
        if self.nodes.len() == MAX_NODES {
            return Err(format!("it has more than {MAX_NODES} places"));
        }
        let id = self.nodes.len();
        self.nodes.push(Node::default());
        self.known.insert(pointer.to_owned(), id);
        self.nodes[id] = match value {
            Value::Bool(yes) => Node {
                never: !yes,
                ..Node::default()
            },
            Value::Object(keywords) => self.node(keywords, pointer).map_err(|why| {
                if why.starts_with("at ") {
                    why
                } else {
                    format!("at `{shown}`: {why}")
                }
            })?,
            _ => {
                return Err(format!(
                    "at `{shown}`: a schema is an object, `true` or `false`"
                ));
            }
        };
        Ok(id)
    }

    fn node(&mut self, keywords: &Map<String, Value>, pointer: &str) -> Result<Node, String> {
        let mut node = Node::default();
        for (keyword, value) in keywords {
            if scalar(&mut node, keyword, value)? {
                continue;
            }
            let below = format!("{pointer}/{keyword}");
            match keyword.as_str() {
                "properties" => {
                    for name in object(keyword, value)?.keys() {
                        let place = self.place(&format!("{below}/{}", escaped(name)))?;
                        node.properties.insert(name.clone(), place);
                    }
                }
                "patternProperties" => {
                    for name in object(keyword, value)?.keys() {
                        let place = self.place(&format!("{below}/{}", escaped(name)))?;
                        node.pattern_properties.push((pattern(name)?, place));
                    }
                }
                "additionalProperties" => node.additional = Some(self.place(&below)?),
                "propertyNames" => node.property_names = Some(self.place(&below)?),
                "required" => {
                    for name in texts(keyword, value)? {
                        let nth = name_of(&mut node.names, name);
                        node.required.push(nth);
                    }
                }
                "dependentRequired" => {
                    for (name, others) in object(keyword, value)? {
                        let first = name_of(&mut node.names, name);
                        for other in texts(keyword, others)? {
                            let second = name_of(&mut node.names, other);
                            node.dependent.push((first, second));
                        }
                    }
                }
                "prefixItems" => node.prefix_items = self.places(keyword, value, &below)?,
                "items" => node.items = Some(self.place(&below)?),
                "contains" => {
                    let bound = |keyword: &str| {
                        keywords
                            .get(keyword)
                            .map(|value| count(keyword, value))
                            .transpose()
                    };
                    let (least, most) = (bound("minContains")?.unwrap_or(1), bound("maxContains")?);
                    node.contains = Some((self.place(&below)?, least, most));
                }
                "allOf" => node.all_of.extend(self.places(keyword, value, &below)?),
                "anyOf" => node.any_of = self.places(keyword, value, &below)?,
                "oneOf" => node.one_of = self.places(keyword, value, &below)?,
                "not" => node.not = Some(self.place(&below)?),
                "if" => {
                    let test = self.place(&below)?;
                    let mut branch = |keyword: &str| {
                        let is_there = keywords.contains_key(keyword);
                        is_there
                            .then(|| self.place(&format!("{pointer}/{keyword}")))
                            .transpose()
                    };
                    node.condition = Some((test, branch("then")?, branch("else")?));
                }
                // Read with `contains` and `if`.
                "minContains" | "maxContains" | "then" | "else" => {}
                "$ref" => {
                    let target = text(keyword, value)?;
                    let Some(target) = target.strip_prefix('#') else {
                        return Err(format!(
                            "`$ref` leads to `{target}`; only places of the same file can be used, such as `#/$defs/name`"
                        ));
                    };
                    node.all_of.push(self.place(target)?);
                }
                _ if SAID.contains(&keyword.as_str()) || keyword.starts_with("x-") => {}
                _ => {
                    return Err(format!(
                        "the keyword `{keyword}` cannot be checked while a file streams; leave it out, or say it otherwise"
                    ));
                }
            }
        }
        Ok(node)
    }

    fn places(
        &mut self,
        keyword: &str,
        value: &Value,
        pointer: &str,
    ) -> Result<Vec<NodeId>, String> {
        let places = value.as_array().filter(|places| !places.is_empty());
        let places = places.ok_or_else(|| format!("`{keyword}` must be an array of schemas"))?;
        let places = (0..places.len()).map(|nth| self.place(&format!("{pointer}/{nth}")));
        places.collect()
    }
}

/// Keywords that need no other place; whether this is one.
fn scalar(node: &mut Node, keyword: &str, value: &Value) -> Result<bool, String> {
    match keyword {
        "type" => node.types = Some(types(value)?),
        "enum" => {
            let values = value.as_array().ok_or("`enum` must be an array")?;
            node.allow_only(values.iter().map(known).collect::<Result<_, _>>()?);
        }
        "const" => node.allow_only(vec![known(value)?]),
        "minimum" => node.minimum = Some(number(keyword, value)?),
        "maximum" => node.maximum = Some(number(keyword, value)?),
        "exclusiveMinimum" => node.above = Some(number(keyword, value)?),
        "exclusiveMaximum" => node.below = Some(number(keyword, value)?),
        "multipleOf" => node.multiple_of = Some(number(keyword, value)?),
        "minLength" => node.min_length = Some(count(keyword, value)?),
        "maxLength" => node.max_length = Some(count(keyword, value)?),
        "pattern" => node.pattern = Some(pattern(text(keyword, value)?)?),
        "format" => node.format = Format::named(text(keyword, value)?),
        "minProperties" => node.min_properties = Some(count(keyword, value)?),
        "maxProperties" => node.max_properties = Some(count(keyword, value)?),
        "minItems" => node.min_items = Some(count(keyword, value)?),
        "maxItems" => node.max_items = Some(count(keyword, value)?),
        "uniqueItems" => {
            node.unique_items = value
                .as_bool()
                .ok_or("`uniqueItems` must be true or false")?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn name_of(names: &mut Vec<String>, name: &str) -> usize {
    let known = names.iter().position(|known| known == name);
    known.unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

fn types(value: &Value) -> Result<Types, String> {
    let one = |value: &Value| {
        let name = value.as_str().unwrap_or_default();
        let known = Type::ALL.iter().find(|(_, known)| *known == name);
        known
            .map(|(known, _)| *known as u8)
            .ok_or_else(|| "`type` must be null, boolean, object, array, number, string or integer, or some of them".to_owned())
    };
    let bits = match value {
        Value::Array(values) => values
            .iter()
            .map(one)
            .try_fold(0, |bits, one| Ok::<_, String>(bits | one?))?,
        value => one(value)?,
    };
    Ok(Types(bits))
}

fn known(value: &Value) -> Result<Known, String> {
    match value {
        Value::Null => Ok(Known::Null),
        Value::Bool(yes) => Ok(Known::Bool(*yes)),
        Value::Number(number) => {
            let text = number.to_string();
            Ok(Known::Number(Number::parse(&text), text))
        }
        Value::String(text) => Ok(Known::Text(text.clone())),
        Value::Array(_) | Value::Object(_) => Err(
            "`enum` and `const` with arrays or objects cannot be checked while a file streams"
                .to_owned(),
        ),
    }
}

fn number(keyword: &str, value: &Value) -> Result<Number, String> {
    match value {
        Value::Number(number) => Ok(Number::parse(&number.to_string())),
        _ => Err(format!("`{keyword}` must be a number")),
    }
}

fn count(keyword: &str, value: &Value) -> Result<u64, String> {
    value
        .as_u64()
        .ok_or_else(|| format!("`{keyword}` must be a whole number, at least 0"))
}

fn text<'a>(keyword: &str, value: &'a Value) -> Result<&'a str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("`{keyword}` must be a string"))
}

fn texts<'a>(keyword: &str, value: &'a Value) -> Result<Vec<&'a str>, String> {
    let values = value.as_array();
    let values = values.ok_or_else(|| format!("`{keyword}` must be an array of strings"))?;
    values.iter().map(|value| text(keyword, value)).collect()
}

fn object<'a>(keyword: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("`{keyword}` must be an object"))
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("the pattern `{text}` cannot be used: {error}"))
}
