//! A path with names in braces, checked when the policy set is loaded and filled for each upload.

use crate::part::{self, MAX_PATH_BYTES};

/// A path template: parts between `/`, each a row of literal pieces and fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Vec<Piece>>);

/// A stretch of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Field(Field),
}

/// What is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The client's name for the file, whole.
    Filename,
    /// The folder that the file lies in: as many parts as it has.
    Folder,
    /// The name without its extension.
    Stem,
    /// The extension in lower case, without its dot.
    Extension,
    /// The identifier of the upload.
    UploadId,
    /// The day on which the upload was created.
    ReceivedOn,
    /// The name of who sends it.
    Principal,
    /// The value of an attribute.
    Attribute(String),
}

/// The names of the fields that are not attributes.
pub(crate) const FIELDS: [(&str, Field); 7] = [
    ("filename", Field::Filename),
    ("folder", Field::Folder),
    ("stem", Field::Stem),
    ("extension", Field::Extension),
    ("upload_id", Field::UploadId),
    ("received_on", Field::ReceivedOn),
    ("principal", Field::Principal),
];

impl Template {
    /// Reads a template. The error is a clause for the administrator.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATH_BYTES {
            return Err(format!("it is longer than {MAX_PATH_BYTES} bytes"));
        }
        if text.starts_with('/') {
            return Err(
                "it begins with `/`; paths stand beneath the disk's root, so leave the `/` out"
                    .to_owned(),
            );
        }
        let parts = text.split('/').map(parse_part);
        parts.collect::<Result<_, _>>().map(Self)
    }

    /// The attributes that it names, in order.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().filter_map(|piece| match piece {
            Piece::Field(Field::Attribute(name)) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it says where uploads go that lie in a folder.
    pub(crate) fn keeps_folders(&self) -> bool {
        self.0.iter().any(is_folder)
    }

    /// The parts of the path, each field replaced by what `value` gives for it. A folder is as many parts as it has, perhaps
    /// none.
    pub(crate) fn fill<E>(
        &self,
        value: impl Fn(&Field) -> Result<String, E>,
    ) -> Result<Vec<String>, E> {
        let fill_piece = |piece: &Piece| match piece {
            Piece::Literal(text) => Ok(text.clone()),
            Piece::Field(field) => value(field),
        };
        let mut parts = Vec::new();
        for part in &self.0 {
            let filled = part.iter().map(fill_piece).collect::<Result<String, E>>()?;
            if is_folder(part) {
                let folders = filled.split('/').filter(|folder| !folder.is_empty());
                parts.extend(folders.map(str::to_owned));
            } else {
                parts.push(filled);
            }
        }
        Ok(parts)
    }
}

fn is_folder(part: &Vec<Piece>) -> bool {
    matches!(part.as_slice(), [Piece::Field(Field::Folder)])
}

fn parse_part(text: &str) -> Result<Vec<Piece>, String> {
    if text.is_empty() {
        return Err("it has an empty part; write it without a trailing or doubled `/`".to_owned());
    }
    part::check_characters(text)
        .map_err(|wrong| format!("the part {text:?} {}", wrong.sentence()))?;
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (literal, tail) = rest.split_at(rest.find(['{', '}']).unwrap_or(rest.len()));
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        rest = tail;
        if let Some(inside) = rest.strip_prefix('{') {
            let (name, tail) = inside
                .split_once('}')
                .ok_or_else(|| format!("the part {text:?} has a `{{` without its `}}`"))?;
            pieces.push(Piece::Field(parse_field(name)?));
            rest = tail;
        } else if !rest.is_empty() {
            return Err(format!("the part {text:?} has a `}}` without its `{{`"));
        }
    }
    if !is_folder(&pieces) && pieces.contains(&Piece::Field(Field::Folder)) {
        return Err(format!(
            "the part {text:?} has `{{folder}}` and something else; it may be several parts, so let it stand alone between `/`"
        ));
    }
    check_literals(text, &pieces)?;
    Ok(pieces)
}

/// What stands literally at the ends of a part, or is all of it, can be judged before any upload.
fn check_literals(text: &str, pieces: &[Piece]) -> Result<(), String> {
    let ends_badly = match (pieces.first(), pieces.last()) {
        (Some(Piece::Literal(_)), _) if pieces.len() == 1 => part::check(text).err(),
        (Some(Piece::Literal(_)), _) if text.starts_with('.') => Some(part::UnsafePart::LeadingDot),
        (_, Some(Piece::Literal(_))) if text.ends_with(['.', ' ']) => {
            Some(part::UnsafePart::TrailingDotOrSpace)
        }
        _ => None,
    };
    ends_badly.map_or(Ok(()), |wrong| {
        Err(format!("the part {text:?} {}", wrong.sentence()))
    })
}

fn parse_field(name: &str) -> Result<Field, String> {
    if let Some((_, field)) = FIELDS.into_iter().find(|(known, _)| *known == name) {
        return Ok(field);
    }
    if is_attribute_name(name) {
        return Ok(Field::Attribute(name.to_owned()));
    }
    Err(format!(
        "`{{{name}}}` is not the name of an attribute: use 1 to 64 of a-z, A-Z, 0-9, `_`, `-` and `.`"
    ))
}

/// What the contract allows as the name of an attribute.
pub(crate) fn is_attribute_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_part_by_part() {
        let template = Template::parse("in/{cohort}-{year}/{stem}.{extension}").expect("good");
        assert_eq!(
            template.attributes().collect::<Vec<_>>(),
            ["cohort", "year"]
        );
        let filled = template.fill(|field| Ok::<_, ()>(format!("<{field:?}>")));
        let wanted = [
            "in",
            "<Attribute(\"cohort\")>-<Attribute(\"year\")>",
            "<Stem>.<Extension>",
        ];
        assert_eq!(filled, Ok(wanted.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_wrong_template_says_what_is_wrong() {
        for (text, wrong) in [
            ("", "an empty part"),
            ("/in/{filename}", "begins with `/`"),
            ("in//{filename}", "an empty part"),
            ("in/x{folder}/{filename}", "let it stand alone"),
            ("in/", "an empty part"),
            ("../{filename}", "begins with a dot"),
            ("in/./{filename}", "begins with a dot"),
            (".hidden{cohort}", "begins with a dot"),
            ("in\\{filename}", "a `/` or a `\\`"),
            ("in\n/{filename}", "a control character"),
            ("in\u{202e}/{filename}", "an invisible"),
            ("{cohort}./x", "ends in a dot"),
            ("con/{filename}", "Windows"),
            ("{filename", "`{` without its `}`"),
            ("filename}", "`}` without its `{`"),
            ("{}", "`{}` is not the name"),
            ("{{filename}}", "`{{filename}` is not the name"),
            ("{a b}", "`{a b}` is not the name"),
            ("{a/b}", "`{` without its `}`"),
        ] {
            let error = Template::parse(text).expect_err(text);
            assert!(error.contains(wrong), "{text:?}: {error}");
        }
        assert!(Template::parse(&"x".repeat(1025)).is_err());
    }
}
