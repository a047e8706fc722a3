//! A value before a schema, as it comes: for each open value there is a frame, with what is asked of it and how far
//! that has been seen.

use std::collections::BTreeSet;

use portcullis_policy::{Finding, findings};

use crate::lexer::{MAX_TEXT_BYTES, Scalar, Sink, Text};
use crate::number::Number;
use crate::schema::{Known, Node, NodeId, Schema, Type};
use crate::seen::{Seen, hash};

/// The most places of the schema that one value is compared with.
const MAX_EVALUATIONS: usize = 10_000;

/// What is asked of one value at one place of the schema.
struct Evaluation {
    node: NodeId,
    role: Role,
    /// Whether a failure is no finding of its own: another alternative may fit.
    is_quiet: bool,
    is_valid: bool,
    /// Alternatives that fit: of `anyOf`, and of `oneOf`.
    any_fit: u32,
    one_fit: u32,
    /// Whether what is excluded fits, and the condition and its branches: absent where there are none.
    not_fits: Option<bool>,
    test_fits: Option<bool>,
    then_fits: Option<bool>,
    else_fits: Option<bool>,
    /// Of the names that matter, those that are there.
    seen: Vec<bool>,
    contained: u64,
}

/// Who hears whether the value fits.
#[derive(Clone, Copy)]
enum Role {
    /// An evaluation of the value around it; the outermost value has none.
    Owner(Option<usize>),
    /// As `Owner`, but whether it fits is only counted.
    Contained(usize),
    /// Another evaluation of the same value.
    All(usize),
    Any(usize),
    One(usize),
    Not(usize),
    Test(usize),
    Then(usize),
    Else(usize),
}

/// An open value.
#[derive(Default)]
struct Frame {
    evaluations: Vec<Evaluation>,
    is_object: bool,
    at: u64,
    /// How many members or items have begun.
    count: u64,
    /// The member that is read, if the schema names it, and the item.
    member: Option<String>,
    /// What the next value is compared with.
    next: Vec<(NodeId, Role, bool)>,
    keys: Seen,
    items: Seen,
}

/// The validator of one file.
pub(crate) struct Validator {
    schema: Schema,
    frames: Vec<Frame>,
    /// Frames of values that are closed, for those that open next.
    spare: Vec<Frame>,
    scratch: Vec<Evaluation>,
    /// The line, where each is a value of its own.
    pub(crate) line: Option<u64>,
    /// How many errors there are, and the rule of the first.
    pub(crate) errors: u64,
    pub(crate) first: Option<&'static str>,
    full: BTreeSet<&'static str>,
    /// After so many errors nothing more is counted.
    most: u64,
}

impl Validator {
    pub(crate) fn new(schema: Schema, most: u64) -> Self {
        Self {
            schema,
            frames: Vec::new(),
            spare: Vec::new(),
            scratch: Vec::new(),
            line: None,
            errors: 0,
            first: None,
            full: BTreeSet::new(),
            most,
        }
    }

    /// Forgets a value that is not complete.
    pub(crate) fn reset(&mut self) {
        self.frames.clear();
    }

    /// Whether there are so many errors that nothing more matters.
    pub(crate) fn has_enough(&self) -> bool {
        self.errors >= self.most
    }

    /// Reports an error at this byte.
    pub(crate) fn report(&mut self, rule: &'static str, at: u64, message: impl FnOnce() -> String) {
        // What comes later is not counted, so that the answer does not depend on how much came with it.
        if self.has_enough() {
            return;
        }
        self.errors += 1;
        self.first.get_or_insert(rule);
        if self.full.contains(rule) {
            findings::tally(rule, None, 1);
            return;
        }
        let mut finding = Finding::error(rule, message()).at_byte(at);
        let path = self.path();
        if !path.is_empty() {
            finding = finding.in_column(path);
        }
        if let Some(row) = self.line.or_else(|| self.item()) {
            finding = finding.at_row(row);
        }
        if !findings::report(finding) {
            self.full.insert(rule);
        }
    }

    /// Where the value lies that is read, as a JSON pointer; keys that the schema does not name are `*`.
    fn path(&self) -> String {
        let part = |frame: &Frame| match (&frame.member, frame.is_object) {
            (Some(member), _) => format!("/{member}"),
            (None, true) => "/*".to_owned(),
            (None, false) => format!("/{}", frame.count.saturating_sub(1)),
        };
        let begun = self.frames.iter().filter(|frame| frame.count > 0);
        begun.map(part).collect()
    }

    /// The item of an outermost array, from 1.
    fn item(&self) -> Option<u64> {
        let outermost = self.frames.first()?;
        (!outermost.is_object && outermost.count > 0).then_some(outermost.count)
    }

    /// What a value that begins now is compared with.
    fn begin_value(&mut self) -> Vec<Evaluation> {
        let mut evaluations = std::mem::take(&mut self.scratch);
        let Some(frame) = self.frames.last_mut() else {
            let (root, owner) = (self.schema.root, Role::Owner(None));
            expand(&self.schema, root, owner, false, &mut evaluations);
            return evaluations;
        };
        if !frame.is_object {
            frame.count += 1;
            add_items(&self.schema, frame);
        }
        for (node, role, is_quiet) in frame.next.drain(..) {
            expand(&self.schema, node, role, is_quiet, &mut evaluations);
        }
        evaluations
    }

    /// A value fails at a place.
    fn fail(
        &mut self,
        evaluation: &mut Evaluation,
        rule: &'static str,
        at: u64,
        message: impl FnOnce(&Node) -> String,
    ) {
        evaluation.is_valid = false;
        if !evaluation.is_quiet {
            let text = message(&self.schema.nodes[evaluation.node]);
            self.report(rule, at, || text);
        }
    }

    fn check_type(&mut self, evaluations: &mut [Evaluation], found: Type, at: u64) {
        for evaluation in evaluations {
            let node = &self.schema.nodes[evaluation.node];
            if node.never {
                self.fail(evaluation, "not-allowed", at, |_| {
                    "There is a value where the schema allows none.".to_owned()
                });
                continue;
            }
            let Some(types) = node.types.filter(|types| !types.has(found)) else {
                continue;
            };
            self.fail(evaluation, "type", at, |_| {
                format!(
                    "The value is of the type {}; it must be {}.",
                    found.name(),
                    types.names()
                )
            });
        }
    }

    /// Whether the value fits, once all is known; tells who wants to hear of it.
    fn settle(&mut self, mut evaluations: Vec<Evaluation>, at: u64) {
        for nth in (0..evaluations.len()).rev() {
            let mut evaluation = std::mem::replace(&mut evaluations[nth], Evaluation::none());
            self.check_alternatives(&mut evaluation, at);
            let is_valid = evaluation.is_valid;
            match evaluation.role {
                Role::All(parent) => evaluations[parent].is_valid &= is_valid,
                Role::Any(parent) => evaluations[parent].any_fit += u32::from(is_valid),
                Role::One(parent) => evaluations[parent].one_fit += u32::from(is_valid),
                Role::Not(parent) => evaluations[parent].not_fits = Some(is_valid),
                Role::Test(parent) => evaluations[parent].test_fits = Some(is_valid),
                Role::Then(parent) => evaluations[parent].then_fits = Some(is_valid),
                Role::Else(parent) => evaluations[parent].else_fits = Some(is_valid),
                Role::Owner(None) => {}
                Role::Owner(Some(owner)) => {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.evaluations[owner].is_valid &= is_valid;
                    }
                }
                Role::Contained(owner) => {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.evaluations[owner].contained += u64::from(is_valid);
                    }
                }
            }
        }
        evaluations.clear();
        self.scratch = evaluations;
    }

    fn check_alternatives(&mut self, evaluation: &mut Evaluation, at: u64) {
        let node = &self.schema.nodes[evaluation.node];
        let no_any = !node.any_of.is_empty() && evaluation.any_fit == 0;
        let not_one = !node.one_of.is_empty() && evaluation.one_fit != 1;
        let is_not = evaluation.not_fits == Some(true);
        let branch_fails = match evaluation.test_fits {
            Some(true) => evaluation.then_fits == Some(false),
            Some(false) => evaluation.else_fits == Some(false),
            None => false,
        };
        let fits = evaluation.one_fit;
        if no_any {
            self.fail(evaluation, "alternatives", at, |node| {
                format!(
                    "The value fits none of the {} alternatives that the schema gives.",
                    node.any_of.len()
                )
            });
        }
        if not_one {
            self.fail(evaluation, "alternatives", at, |node| {
                format!(
                    "The value fits {fits} of {} alternatives; it must fit exactly one.",
                    node.one_of.len()
                )
            });
        }
        if is_not {
            self.fail(evaluation, "alternatives", at, |_| {
                "The value fits what the schema excludes.".to_owned()
            });
        }
        if branch_fails {
            self.fail(evaluation, "alternatives", at, |_| {
                "The value does not fit what the schema asks for in this case.".to_owned()
            });
        }
    }

    fn check_scalar(&mut self, evaluation: &mut Evaluation, value: &Value<'_>, at: u64) {
        let node = &self.schema.nodes[evaluation.node];
        if let Some(values) = &node.values
            && !values.iter().any(|known| value.is(known))
        {
            self.fail(evaluation, "enum", at, |node| {
                let values = node.values.iter().flatten().map(Known::shown);
                let values: Vec<_> = values.collect();
                format!(
                    "The value is not one of those that are allowed: {}.",
                    values.join(", ")
                )
            });
        }
        match value {
            Value::Number(number) => self.check_number(evaluation, *number, at),
            Value::Text(text) => self.check_text(evaluation, *text, at),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn check_number(&mut self, evaluation: &mut Evaluation, number: Number, at: u64) {
        let node = &self.schema.nodes[evaluation.node];
        let too_small = node.minimum.is_some_and(|least| number < least)
            || node.above.is_some_and(|above| number <= above);
        let too_large = node.maximum.is_some_and(|most| number > most)
            || node.below.is_some_and(|below| number >= below);
        let is_odd = node
            .multiple_of
            .is_some_and(|of| !number.is_multiple_of(of));
        if too_small {
            self.fail(evaluation, "range", at, |_| {
                "The number is smaller than allowed.".to_owned()
            });
        }
        if too_large {
            self.fail(evaluation, "range", at, |_| {
                "The number is larger than allowed.".to_owned()
            });
        }
        if is_odd {
            self.fail(evaluation, "multiple-of", at, |_| {
                "The number is not a multiple of what it must be.".to_owned()
            });
        }
    }

    fn check_text(
        &mut self,
        evaluation: &mut Evaluation,
        Text { text, is_cut }: Text<'_>,
        at: u64,
    ) {
        let node = &self.schema.nodes[evaluation.node];
        let needs_all =
            node.pattern.is_some() || node.format.is_some() || node.max_length.is_some();
        if is_cut && needs_all {
            return self.fail(evaluation, "too-long", at, |_| {
                format!("The string has more than {MAX_TEXT_BYTES} bytes, too many to be checked.")
            });
        }
        let (least, most) = (
            node.min_length.unwrap_or(0),
            node.max_length.unwrap_or(u64::MAX),
        );
        // Most strings are not measured: counting characters reads them once more.
        let is_measured = node.min_length.is_some() || node.max_length.is_some();
        let length = if is_measured {
            text.chars().count() as u64
        } else {
            0
        };
        let is_odd = node
            .pattern
            .as_ref()
            .is_some_and(|pattern| !pattern.is_match(text));
        let format = node.format.filter(|format| !format.fits(text));
        if length < least && !is_cut {
            self.fail(evaluation, "length", at, |_| {
                format!("The string has {length} characters; at least {least} are asked for.")
            });
        }
        if length > most {
            self.fail(evaluation, "length", at, |_| {
                format!("The string has {length} characters; at most {most} are allowed.")
            });
        }
        if is_odd {
            self.fail(evaluation, "pattern", at, |node| {
                let pattern = node.pattern.as_ref().map_or("", regex_lite::Regex::as_str);
                format!("The string does not match {pattern}.")
            });
        }
        if let Some(format) = format {
            self.fail(evaluation, "format", at, |_| {
                format!("The string is not {}.", format.name())
            });
        }
    }

    /// What is known only at the end of an object or array.
    fn check_container(&mut self, evaluation: &mut Evaluation, frame: &Frame) {
        let (at, count) = (frame.at, frame.count);
        if frame.is_object {
            self.check_members(evaluation, at, count);
            return;
        }
        let node = &self.schema.nodes[evaluation.node];
        let (least, most) = (
            node.min_items.unwrap_or(0),
            node.max_items.unwrap_or(u64::MAX),
        );
        let contained = evaluation.contained;
        let bounds = node
            .contains
            .map(|(_, least, most)| (least, most.unwrap_or(u64::MAX)));
        if count < least || count > most {
            self.fail(evaluation, "items", at, |_| {
                let bound = if count < least {
                    format!("at least {least} are asked for")
                } else {
                    format!("at most {most} are allowed")
                };
                format!("The array has {count} items; {bound}.")
            });
        }
        if bounds.is_some_and(|(least, most)| contained < least || contained > most) {
            self.fail(evaluation, "items", at, |_| {
                format!("{contained} items of the array are what the schema asks for; that is too few or too many.")
            });
        }
    }

    fn check_members(&mut self, evaluation: &mut Evaluation, at: u64, count: u64) {
        let node = &self.schema.nodes[evaluation.node];
        let (least, most) = (
            node.min_properties.unwrap_or(0),
            node.max_properties.unwrap_or(u64::MAX),
        );
        let is_there = |nth: &usize| evaluation.seen.get(*nth).copied().unwrap_or(false);
        let missing: Vec<String> = node
            .required
            .iter()
            .filter(|nth| !is_there(nth))
            .map(|nth| node.names[*nth].clone())
            .collect();
        let dependent: Vec<(String, String)> = node
            .dependent
            .iter()
            .filter(|(first, second)| is_there(first) && !is_there(second))
            .map(|(first, second)| (node.names[*first].clone(), node.names[*second].clone()))
            .collect();
        for name in missing {
            self.fail(evaluation, "required", at, |_| {
                format!("The object has no `{name}`, which must be there.")
            });
        }
        for (first, second) in dependent {
            self.fail(evaluation, "required", at, |_| {
                format!("The object has `{first}` and no `{second}`, which must be there then.")
            });
        }
        if count < least || count > most {
            self.fail(evaluation, "members", at, |_| {
                format!("The object has {count} members, which is fewer or more than allowed.")
            });
        }
    }

    /// An item that an array has already.
    fn check_twice(&mut self, value: &Value<'_>, at: u64) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let wanted = |evaluation: &Evaluation| self.schema.nodes[evaluation.node].unique_items;
        if frame.is_object || !frame.evaluations.iter().any(wanted) {
            return;
        }
        if frame.items.insert(value.hash()) {
            return;
        }
        let mut evaluations = std::mem::take(&mut frame.evaluations);
        for evaluation in &mut evaluations {
            if self.schema.nodes[evaluation.node].unique_items {
                self.fail(evaluation, "unique-items", at, |_| {
                    "The item is in the array already.".to_owned()
                });
            }
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.evaluations = evaluations;
        }
    }
}

impl Frame {
    /// As new, with the memory that it has.
    fn clear(&mut self) {
        self.evaluations.clear();
        self.next.clear();
        self.keys.clear();
        self.items.clear();
        (self.count, self.member) = (0, None);
    }
}

/// A value without others in it.
enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'a>),
}

impl<'a> Value<'a> {
    fn of(scalar: Scalar<'a>) -> Self {
        match scalar {
            Scalar::Null => Self::Null,
            Scalar::Bool(yes) => Self::Bool(yes),
            Scalar::Number(text) => Self::Number(Number::parse(text)),
            Scalar::Text(text) => Self::Text(text),
        }
    }

    fn kind(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Boolean,
            Self::Number(number) if number.is_whole() => Type::Integer,
            Self::Number(_) => Type::Number,
            Self::Text(_) => Type::String,
        }
    }

    fn is(&self, known: &Known) -> bool {
        match (self, known) {
            (Self::Null, Known::Null) => true,
            (Self::Bool(one), Known::Bool(other)) => one == other,
            (Self::Number(one), Known::Number(other, _)) => one == other,
            (Self::Text(one), Known::Text(other)) => !one.is_cut && one.text == other,
            _ => false,
        }
    }

    fn hash(&self) -> u64 {
        match self {
            Self::Null => hash(0u8),
            Self::Bool(yes) => hash((1u8, yes)),
            Self::Number(Number::Whole(whole)) => hash((2u8, whole)),
            Self::Number(Number::Other(other)) => hash((3u8, other.to_bits())),
            Self::Text(text) => hash((4u8, text.text)),
        }
    }
}

impl Evaluation {
    fn new(node: NodeId, role: Role, is_quiet: bool, names: usize) -> Self {
        Self {
            node,
            role,
            is_quiet,
            is_valid: true,
            any_fit: 0,
            one_fit: 0,
            not_fits: None,
            test_fits: None,
            then_fits: None,
            else_fits: None,
            seen: vec![false; names],
            contained: 0,
        }
    }

    fn none() -> Self {
        Self::new(0, Role::Owner(None), true, 0)
    }
}

/// A place with all that apply to the same value, each behind the one that it belongs to.
fn expand(schema: &Schema, node: NodeId, role: Role, is_quiet: bool, into: &mut Vec<Evaluation>) {
    if into.len() >= MAX_EVALUATIONS {
        return;
    }
    let here = &schema.nodes[node];
    let own = into.len();
    into.push(Evaluation::new(node, role, is_quiet, here.names.len()));
    for next in &here.all_of {
        expand(schema, *next, Role::All(own), is_quiet, into);
    }
    for next in &here.any_of {
        expand(schema, *next, Role::Any(own), true, into);
    }
    for next in &here.one_of {
        expand(schema, *next, Role::One(own), true, into);
    }
    if let Some(next) = here.not {
        expand(schema, next, Role::Not(own), true, into);
    }
    if let Some((test, then, other)) = here.condition {
        expand(schema, test, Role::Test(own), true, into);
        if let Some(then) = then {
            expand(schema, then, Role::Then(own), true, into);
        }
        if let Some(other) = other {
            expand(schema, other, Role::Else(own), true, into);
        }
    }
}

/// What the next item of an array is compared with.
fn add_items(schema: &Schema, frame: &mut Frame) {
    let index = usize::try_from(frame.count - 1).unwrap_or(usize::MAX);
    for (nth, evaluation) in frame.evaluations.iter().enumerate() {
        let node = &schema.nodes[evaluation.node];
        let owner = Role::Owner(Some(nth));
        if let Some(item) = node.prefix_items.get(index).copied().or(node.items) {
            frame.next.push((item, owner, evaluation.is_quiet));
        }
        if let Some((item, ..)) = node.contains {
            frame.next.push((item, Role::Contained(nth), true));
        }
    }
}

impl Sink for Validator {
    fn begin(&mut self, is_object: bool, at: u64) {
        let mut evaluations = self.begin_value();
        let found = if is_object { Type::Object } else { Type::Array };
        self.check_type(&mut evaluations, found, at);
        for evaluation in &mut evaluations {
            if self.schema.nodes[evaluation.node].values.is_some() {
                self.fail(evaluation, "enum", at, |_| {
                    "The value is not one of those that are allowed.".to_owned()
                });
            }
        }
        let mut frame = self.spare.pop().unwrap_or_default();
        frame.evaluations = evaluations;
        (frame.is_object, frame.at) = (is_object, at);
        self.frames.push(frame);
    }

    fn end(&mut self) {
        let Some(mut frame) = self.frames.pop() else {
            return;
        };
        let mut evaluations = std::mem::take(&mut frame.evaluations);
        for evaluation in &mut evaluations {
            self.check_container(evaluation, &frame);
        }
        self.settle(evaluations, frame.at);
        frame.clear();
        self.spare.push(frame);
    }

    fn key(&mut self, key: Text<'_>) {
        let Some(mut frame) = self.frames.pop() else {
            return;
        };
        frame.count += 1;
        frame.member = None;
        let hash = Value::Text(key).hash();
        let is_twice = !frame.keys.insert(hash);
        let mut names = Vec::new();
        for (nth, evaluation) in frame.evaluations.iter_mut().enumerate() {
            let node = &self.schema.nodes[evaluation.node];
            if let Some(known) = node.names.iter().position(|name| name == key.text) {
                evaluation.seen[known] = true;
                frame.member = Some(key.text.to_owned());
            }
            let mut member = |id: NodeId| {
                let role = Role::Owner(Some(nth));
                frame.next.push((id, role, evaluation.is_quiet));
            };
            let named = node.properties.get(key.text).copied();
            let mut is_known = named.is_some();
            if let Some(named) = named {
                member(named);
                frame.member = Some(key.text.to_owned());
            }
            for (pattern, id) in &node.pattern_properties {
                if pattern.is_match(key.text) {
                    is_known = true;
                    member(*id);
                }
            }
            if let Some(additional) = node.additional.filter(|_| !is_known) {
                member(additional);
            }
            names.extend(
                node.property_names
                    .map(|id| (id, Role::Owner(Some(nth)), evaluation.is_quiet)),
            );
        }
        let at = frame.at;
        self.frames.push(frame);
        if is_twice {
            self.report("duplicate-key", at, || {
                "The object has a key twice.".to_owned()
            });
        }
        let mut evaluations = Vec::new();
        for (node, role, is_quiet) in names {
            expand(&self.schema, node, role, is_quiet, &mut evaluations);
        }
        self.check_type(&mut evaluations, Type::String, at);
        for evaluation in &mut evaluations {
            self.check_scalar(evaluation, &Value::Text(key), at);
        }
        self.settle(evaluations, at);
    }

    fn scalar(&mut self, scalar: Scalar<'_>, at: u64) {
        let mut evaluations = self.begin_value();
        let value = Value::of(scalar);
        self.check_type(&mut evaluations, value.kind(), at);
        for evaluation in &mut evaluations {
            self.check_scalar(evaluation, &value, at);
        }
        self.check_twice(&value, at);
        self.settle(evaluations, at);
    }
}
