use portcullis_policy::{
    Destination, End, Failure, Placement, Refusal, Router, Rule, Setting, Upload,
};

use crate::part::{self, MAX_PATH_BYTES, UnsafePart};
use crate::settings::{Plan, Settings};
use crate::template::Field;

/// The policy, with its settings checked.
#[derive(Debug)]
pub struct RouteByAttributes(Plan);

impl Router for RouteByAttributes {
    const NAME: &'static str = "route-by-attributes";
    const SUMMARY: &'static str =
        "Routes an upload to the path that a template gives when it is filled with its attributes.";
    const SETTINGS: &'static [Setting] = &[
        Setting::required(
            "template",
            "The path, such as `submissions/{cohort}/{table}/{filename}`; names in braces are attributes, or one of filename, folder, stem, extension, upload_id, received_on, principal.",
        ),
        Setting::optional("disk", "The name of the disk; `local` unless set."),
        Setting::optional(
            "attributes",
            "What required attributes may be: a table of names, each with a list of allowed values or one of token (the default), year, integer, date.",
        ),
        Setting::optional(
            "ignore",
            "Attributes that may be there and are not looked at, a list of names; none unless set.",
        ),
    ];
    const RULES: &'static [Rule] = &[
        Rule::new("attribute", "Each attribute has a value that is allowed."),
        Rule::new(
            "missing-attribute",
            "Every attribute that is needed is there.",
        ),
        Rule::new("unknown-attribute", "No other attribute is there."),
        Rule::new(
            "filename",
            "The name of the file can stand on a disk as it is.",
        ),
        Rule::new(
            "principal",
            "The name of the sender is known and can stand on a disk.",
        ),
        Rule::new(
            "folder",
            "Where folders are not kept, the file lies in none.",
        ),
        Rule::new("path", "The whole path can stand on a disk."),
    ];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        settings.try_into().map(Self)
    }

    fn place(&mut self, upload: &Upload) -> Result<Placement, Failure> {
        // The path is made of headers alone: what is wrong with it is said before a byte is sent.
        match self.path(upload) {
            Ok(_) => Ok(Placement::Disk(self.0.disk.clone())),
            Err(refusal) => refusal.into(),
        }
    }

    fn route(
        &mut self,
        upload: &Upload,
        _: &End,
        _: &[(String, String)],
    ) -> Result<Destination, Failure> {
        match self.path(upload) {
            Ok(path) => Ok(Destination::Path(path)),
            Err(refusal) => refusal.into(),
        }
    }
}

impl RouteByAttributes {
    fn path(&self, upload: &Upload) -> Result<String, Refusal> {
        self.check_attributes(upload)?;
        if upload.folder.is_some() && !self.0.template.keeps_folders() {
            // Without it two files of one name would become versions of each other.
            let reason = "Files in folders are not taken here; send each file by itself, or ask the administrators to keep folders.";
            return Err(Refusal::new("folder", reason));
        }
        let parts = self.0.template.fill(|field| value(field, upload))?;
        for part in &parts {
            part::check(part).map_err(|wrong| refuse("path", "A part of the path", wrong))?;
        }
        let path = parts.join("/");
        if path.len() > MAX_PATH_BYTES {
            let reason = format!(
                "The path for this upload is longer than {MAX_PATH_BYTES} bytes; shorten the name of the file or its attributes."
            );
            return Err(Refusal::new("path", reason));
        }
        Ok(path)
    }

    /// Names everything that is wrong with the attributes at once, so that nobody has to try again for each.
    /// The rule is that of the first.
    fn check_attributes(&self, upload: &Upload) -> Result<(), Refusal> {
        let mut wrong: Vec<(&str, String)> = Vec::new();
        for (name, constraint) in &self.0.required {
            let must = constraint.description();
            match upload.attribute(name) {
                Some(value) if constraint.allows(value) => {}
                Some(value) if !value.is_empty() => wrong.push((
                    "attribute",
                    format!("The attribute `{name}` must be {must}."),
                )),
                _ => wrong.push((
                    "missing-attribute",
                    format!("The attribute `{name}` is missing; it must be {must}."),
                )),
            }
        }
        for (name, _) in &upload.attributes {
            if !self.0.required.contains_key(name) && !self.0.ignored.contains(name) {
                wrong.push((
                    "unknown-attribute",
                    format!("The attribute `{name}` is not known here; leave it out."),
                ));
            }
        }
        let Some((rule, _)) = wrong.first() else {
            return Ok(());
        };
        let sentences = wrong.iter().map(|(_, sentence)| sentence.as_str());
        let sentences: Vec<&str> = sentences.collect();
        let message = format!("{} {}", sentences.join(" "), self.expected());
        Err(Refusal::new(*rule, message))
    }

    /// A sentence that lists the attributes that an upload needs.
    fn expected(&self) -> String {
        let names: Vec<_> = self.0.required.keys().map(String::as_str).collect();
        match names.as_slice() {
            [] => "No attributes are expected.".to_owned(),
            names => format!("Expected are: {}.", names.join(", ")),
        }
    }
}

/// What a field stands for in this upload.
fn value(field: &Field, upload: &Upload) -> Result<String, Refusal> {
    match field {
        Field::Attribute(name) => {
            let value = upload.attribute(name);
            Ok(value
                .expect("every attribute of the template is required, and was checked")
                .to_owned())
        }
        Field::Filename => {
            check_filename(upload)?;
            Ok(upload.filename.clone())
        }
        Field::Folder => Ok(upload.folder.clone().unwrap_or_default()),
        Field::Stem => {
            check_filename(upload)?;
            Ok(upload.stem().to_owned())
        }
        Field::Extension => {
            check_filename(upload)?;
            upload.extension().ok_or_else(|| {
                Refusal::new(
                    "filename",
                    "The name of the file has no extension, which its place on the disk needs; give it one.",
                )
            })
        }
        Field::UploadId => Ok(upload.id.clone()),
        Field::ReceivedOn => Ok(upload.received_on()),
        Field::Principal => {
            let subject = &upload.principal.subject;
            if subject == ANONYMOUS {
                return Err(Refusal::new(
                    "principal",
                    "Uploads are filed by their sender here; sign in first.",
                ));
            }
            part::check(subject)
                .map_err(|wrong| refuse("principal", "The name of the sender", wrong))?;
            Ok(subject.clone())
        }
    }
}

/// Who sends where nobody signed in, as the contract says.
const ANONYMOUS: &str = "(anonymous)";

/// The name is kept as it is or refused: one that was changed to fit would not be found again by who sent it,
/// and two names could become one.
fn check_filename(upload: &Upload) -> Result<(), Refusal> {
    part::check(&upload.filename).map_err(|wrong| refuse("filename", "The name of the file", wrong))
}

fn refuse(rule: &str, subject: &str, wrong: UnsafePart) -> Refusal {
    Refusal::new(rule, format!("{subject} {}.", wrong.sentence()))
}
