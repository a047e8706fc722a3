use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, Progress, Refusal, Rule, Setting, Upload,
    Validator,
};
use serde::Deserialize;

use crate::container::{self, Shown};
use crate::kind::{Content, KINDS, Kind};
use crate::markup::{self, Markup};
use crate::name::{self, WrongName};
use crate::script;
use crate::signature::{self, Foreign};
use crate::text::{self, NotText};

/// How many bytes of a file the policy looks at: enough for every signature, and for the first entries of
/// an Office document, which has padding before them.
pub const PREFIX_BYTES: usize = 8192;

/// What an administrator sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The kinds that may pass, by their names in [`KINDS`].
    #[serde(default = "tables")]
    pub allow: Vec<String>,
}

fn tables() -> Vec<String> {
    ["csv", "tsv"].map(str::to_owned).to_vec()
}

/// The policy, with the beginning of the one file that it judges.
#[derive(Debug)]
pub struct FileType {
    allowed: Vec<&'static Kind>,
    /// What the name says; known from `admit` on.
    kind: Option<&'static Kind>,
    prefix: Vec<u8>,
}

impl Validator for FileType {
    const NAME: &'static str = "file-type";
    const SUMMARY: &'static str =
        "Extension, declared media type and first bytes must agree with a kind that is allowed.";
    const SETTINGS: &'static [Setting] = &[Setting::optional(
        "allow",
        "The kinds of files that may pass, a list of names; `[\"csv\", \"tsv\"]` unless set.",
    )];
    const RULES: &'static [Rule] = &[
        Rule::new(
            "extension",
            "The name ends in an extension that is allowed and hides no other.",
        ),
        Rule::new(
            "media-type",
            "The declared media type is none or one of the extension's.",
        ),
        Rule::new(
            "executable",
            "The file is no program, library, shortcut or package.",
        ),
        Rule::new("html", "The file is no web page and no image with code."),
        Rule::new(
            "script",
            "The file is no script and no document with macros.",
        ),
        Rule::new("content", "The file begins as its kind does."),
    ];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if settings.allow.is_empty() {
            return Err("setting `allow`: name at least one kind, or leave the key out".to_owned());
        }
        let kinds = settings.allow.iter().map(|name| {
            Kind::named(name).ok_or_else(|| {
                let known: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
                let known = known.join(", ");
                format!("setting `allow`: unknown kind {name:?}; the known kinds are {known}")
            })
        });
        Ok(Self {
            allowed: kinds.collect::<Result<_, _>>()?,
            kind: None,
            prefix: Vec::new(),
        })
    }

    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure> {
        let kind = match name::kind_of(&upload.filename, &self.allowed) {
            Ok(kind) => kind,
            Err(wrong) => return self.refuse_name(&wrong).into(),
        };
        if let Some(declared) = upload.media_type.as_deref()
            && !NEUTRAL_MEDIA_TYPES.contains(&declared)
            && !kind.media_types.contains(&declared)
        {
            return Refusal::new(
                "media-type",
                format!(
                    "The file is named as {}, but was declared to be something else; declare it as {} or leave the type out.",
                    kind.name, kind.media_types[0]
                ),
            )
            .into();
        }
        self.kind = Some(kind);
        Ok(Admission::Inspect(Extent::Prefix(PREFIX_BYTES as u64)))
    }

    fn chunk(&mut self, _: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        self.prefix.extend_from_slice(bytes);
        if self.prefix.len() < PREFIX_BYTES {
            return Ok(Progress::More);
        }
        match self.judge() {
            Ok(()) => Ok(Progress::Accept),
            Err(refusal) => refusal.into(),
        }
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        match self.judge() {
            Ok(()) => Ok(Conclusion::Accept),
            Err(refusal) => refusal.into(),
        }
    }

    fn suspend(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        // The kind follows from the headers.
        Ok(Some(self.prefix.clone()))
    }

    fn resume(&mut self, upload: &Upload, state: &[u8]) -> Result<(), Failure> {
        let Admission::Inspect(_) = self.admit(upload)? else {
            let reason = "the state is none of this upload";
            return Err(Failure::Internal(reason.to_owned()));
        };
        self.prefix = state.to_vec();
        Ok(())
    }
}

/// What clients declare when they do not know: the last is what curl says of any raw body.
const NEUTRAL_MEDIA_TYPES: &[&str] = &[
    "application/octet-stream",
    "binary/octet-stream",
    "application/x-www-form-urlencoded",
];

impl FileType {
    fn judge(&self) -> Result<(), Refusal> {
        let kind = self.kind.expect("`admit` asked for the bytes and set it");
        judge(kind, &self.prefix)
    }

    fn refuse_name(&self, wrong: &WrongName) -> Refusal {
        let extensions = self.allowed.iter().flat_map(|kind| kind.extensions);
        let list: Vec<_> = extensions
            .map(|extension| format!(".{extension}"))
            .collect();
        let list = list.join(", ");
        let reason = match wrong {
            WrongName::Missing => format!("The file has no name; give it one that ends in {list}."),
            WrongName::TrailingDotOrSpace => {
                "The name of the file ends in a dot or a space; remove it.".to_owned()
            }
            WrongName::NoExtension => {
                format!("The name of the file has no extension; let it end in {list}.")
            }
            WrongName::NotAllowed => {
                format!("Files with this extension are not accepted here; send {list}.")
            }
            WrongName::Hidden => {
                "The name of the file has the extension of a program or a page before its last one; rename it."
                    .to_owned()
            }
        };
        Refusal::new("extension", reason)
    }
}

/// Judges the first bytes of a file; `prefix` is all of a file shorter than [`PREFIX_BYTES`].
fn judge(kind: &Kind, prefix: &[u8]) -> Result<(), Refusal> {
    match kind.content {
        Content::Text | Content::Xml => judge_text(kind, prefix),
        Content::Signed(signatures) => {
            if signatures.iter().any(|one| signature::matches(one, prefix)) {
                return Ok(());
            }
            Err(refuse_content(kind, prefix))
        }
        Content::Zip(wanted) => match container::shown(prefix) {
            shown if shown.agrees_with(wanted) => Ok(()),
            Shown::Program(program) => Err(refuse_foreign(kind, program)),
            Shown::Macros => Err(Refusal::new(
                "script",
                "The document has macros; save it without them.",
            )),
            Shown::NotZip => Err(refuse_content(kind, prefix)),
            Shown::Sure(_) | Shown::SomeOffice => Err(Refusal::new(
                "content",
                format!(
                    "The file is named as {}, but is another sort of archive or document; give it its own extension.",
                    kind.name
                ),
            )),
        },
    }
}

/// An empty file is text: whether it may be empty is for a policy that knows what should be in it.
fn judge_text(kind: &Kind, prefix: &[u8]) -> Result<(), Refusal> {
    if let Some(foreign) = signature::foreign(prefix) {
        return Err(refuse_foreign(kind, foreign));
    }
    if let Some(refusal) = refuse_active(prefix) {
        return Err(refusal);
    }
    match text::check(prefix) {
        Ok(()) => {}
        Err(NotText::Wide) => {
            return Err(Refusal::new(
                "content",
                "The file is in UTF-16 or UTF-32; save it as UTF-8.",
            ));
        }
        Err(NotText::Control(at)) => {
            return Err(Refusal::new(
                "content",
                format!(
                    "The file is named as {}, but is not text: there is a control character at byte {at}.",
                    kind.name
                ),
            ));
        }
    }
    match (&kind.content, markup::find(prefix)) {
        (_, Markup::Unknown) => Err(Refusal::new(
            "content",
            format!(
                "The file begins with markup whose first element does not come within {PREFIX_BYTES} bytes; shorten what stands before it."
            ),
        )),
        (Content::Text, Markup::Xml) => Err(Refusal::new(
            "content",
            format!("The file is named as {}, but is XML.", kind.name),
        )),
        _ => Ok(()),
    }
}

/// Pages and scripts, whatever the name says.
fn refuse_active(prefix: &[u8]) -> Option<Refusal> {
    if script::is_script(prefix) {
        let reason = "The file is a script, which is not accepted under any name; send data.";
        Some(Refusal::new("script", reason))
    } else if markup::find(prefix) == Markup::Active {
        let reason = "The file is a web page or an image with code, which is not accepted under any name; send data.";
        Some(Refusal::new("html", reason))
    } else {
        None
    }
}

/// Says what the file is instead, if that is known.
fn refuse_content(kind: &Kind, prefix: &[u8]) -> Refusal {
    if let Some(foreign) = signature::foreign(prefix) {
        return refuse_foreign(kind, foreign);
    }
    refuse_active(prefix).unwrap_or_else(|| {
        let reason = format!(
            "The file is named as {}, but does not begin as such a file does; check that it is whole and is what it is called.",
            kind.name
        );
        Refusal::new("content", reason)
    })
}

fn refuse_foreign(kind: &Kind, foreign: Foreign) -> Refusal {
    if foreign.executable {
        let reason = format!(
            "The file is {}, which is not accepted under any name; send data.",
            foreign.name
        );
        return Refusal::new("executable", reason);
    }
    let reason = format!(
        "The file is named as {}, but is {}; send the data itself under its own extension.",
        kind.name, foreign.name
    );
    Refusal::new("content", reason)
}
