use portcullis_policy::{
    Admission, Conclusion, End, Extent, Failure, Finding, Progress, Refusal, Rule, Setting, Upload,
    Validator, facts, findings,
};

use crate::blocks::Blocks;
use crate::guard::{Guard, rule};
use crate::layer::Layer;
use crate::settings::{Action, Settings};

/// The policy, with as much of the one upload that it judges as it has to keep.
pub struct ArchiveGuard {
    guard: Guard,
    blocks: Blocks,
    upload: Layer,
}

impl Validator for ArchiveGuard {
    const NAME: &'static str = "archive-guard";
    const SUMMARY: &'static str = "A zip, gzip or tar archive unpacks to what it says it does, to no more than allowed, and nowhere else.";
    const SETTINGS: &'static [Setting] = &[
        Setting::optional(
            "max-entries",
            "The most entries of all archives in an upload together; 10000 unless set.",
        )
        .of(r#"{"type": "integer", "minimum": 1, "maximum": 200000, "default": 10000}"#),
        Setting::optional(
            "max-expanded-bytes",
            "The most bytes that they unpack to, together; 10000000000 unless set.",
        )
        .of(r#"{"type": "integer", "minimum": 0, "default": 10000000000}"#),
        Setting::optional(
            "max-ratio",
            "How many times the bytes of the upload so far they may unpack to, beyond 1 MiB; 100 unless set.",
        )
        .of(r#"{"type": "integer", "minimum": 1, "default": 100}"#),
        Setting::optional(
            "max-depth",
            "How deep archives may lie in archives: 0 for none; 2 unless set. A .tar.gz is 1 deep.",
        )
        .of(r#"{"type": "integer", "minimum": 0, "maximum": 8, "default": 2}"#),
        Setting::optional(
            "allow-encrypted",
            "Whether entries may be encrypted, and so unread; false unless set.",
        )
        .of(r#"{"type": "boolean", "default": false}"#),
        Setting::optional(
            "allow-links",
            "Whether links and devices may be among the entries; false unless set.",
        )
        .of(r#"{"type": "boolean", "default": false}"#),
        Setting::optional(
            "allow-unread",
            "Whether archives and entries may pass that are not read: 7z, RAR, xz, bzip2, Zstandard and others; false unless set.",
        )
        .of(r#"{"type": "boolean", "default": false}"#),
        Setting::optional(
            "forbid-extensions",
            "Extensions that no entry may have, a list in lower case and without dots; none unless set.",
        )
        .of(r#"{"type": "array", "items": {"type": "string"}, "default": []}"#),
        Setting::optional(
            "action",
            "What becomes of an archive that breaks a rule: `reject` (unless set), or `quarantine`.",
        )
        .of(r#"{"enum": ["reject", "quarantine"], "default": "reject"}"#),
    ];
    const RULES: &'static [Rule] = &[
        Rule::new(
            rule::NAME,
            "No entry has a name that leads out of the folder that the archive is unpacked in, or two names that do not agree.",
        ),
        Rule::new(
            rule::DUPLICATE,
            "No archive has two entries that any file system would unpack to one file, and no entry is a file and a folder.",
        ),
        Rule::new(
            rule::FORBIDDEN,
            "No entry has an extension that is forbidden.",
        ),
        Rule::new(rule::ENTRIES, "There are no more entries than allowed."),
        Rule::new(
            rule::EXPANSION,
            "The archives unpack to no more than allowed, and to no more times their size than allowed.",
        ),
        Rule::new(
            rule::SIZES,
            "Every entry has the size that it says it has, before it, behind it and in the list.",
        ),
        Rule::new(
            rule::OVERLAP,
            "The list of a zip archive has exactly the entries that came, each once.",
        ),
        Rule::new(
            rule::NESTING,
            "Archives lie no deeper in archives than allowed.",
        ),
        Rule::new(
            rule::ENCRYPTED,
            "Nothing is encrypted, unless that is allowed.",
        ),
        Rule::new(
            rule::LINK,
            "No entry is a link or a device, unless that is allowed.",
        ),
        Rule::new(
            rule::BROKEN,
            "Archives are whole, are what their format asks for, and have nothing behind their end.",
        ),
        Rule::new(
            rule::UNREAD,
            "Every archive and entry can be looked into, unless that is not asked for.",
        ),
        Rule::new(
            rule::OF_SYSTEMS,
            "Entries that macOS or Windows keep for themselves, such as `.DS_Store`, are noted.",
        ),
    ];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        match settings.problem() {
            Some(problem) => Err(problem),
            None => Ok(Self {
                guard: Guard::new(settings),
                blocks: Blocks::default(),
                upload: Layer::new(),
            }),
        }
    }

    fn admit(&mut self, _: &Upload) -> Result<Admission, Failure> {
        Ok(Admission::Inspect(Extent::All))
    }

    fn chunk(&mut self, _: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        let (guard, upload) = (&mut self.guard, &mut self.upload);
        let pushed = self.blocks.push(bytes, |block| {
            guard.uploaded(block.len());
            upload.push(block, guard, 0)
        });
        Ok(match pushed {
            Ok(()) if self.upload.is_plain() => {
                self.say();
                Progress::Accept
            }
            Ok(()) => Progress::More,
            Err(refusal) => match self.guard.settings.action {
                Action::Reject => Progress::Reject(refusal),
                Action::Quarantine => Progress::Quarantine(refusal),
            },
        })
    }

    fn finish(&mut self, _: &End) -> Result<Conclusion, Failure> {
        Ok(match self.end() {
            Ok(()) => {
                self.say();
                Conclusion::Accept
            }
            Err(refusal) => match self.guard.settings.action {
                Action::Reject => Conclusion::Reject(refusal),
                Action::Quarantine => Conclusion::Quarantine(refusal),
            },
        })
    }
}

impl ArchiveGuard {
    fn end(&mut self) -> Result<(), Refusal> {
        let rest = self.blocks.rest();
        self.guard.uploaded(rest.len());
        self.upload.push(&rest, &mut self.guard, 0)?;
        self.upload.end(&mut self.guard, 0)
    }

    /// What was learned about an archive that passes.
    fn say(&self) {
        if self.guard.unread > 0 {
            let unread = self.guard.unread;
            let message = format!("Nobody has looked into {unread} archives or entries of it.");
            findings::report(Finding::info(rule::UNREAD, message));
        }
        if self.guard.of_systems > 0 {
            let count = self.guard.of_systems;
            let message = format!(
                "{count} of its entries are files that macOS or Windows keep for themselves, such as `.DS_Store`. Leave them out next time."
            );
            findings::report(Finding::info(rule::OF_SYSTEMS, message));
        }
        if !self.upload.is_plain() {
            facts::set("archive-entries", &self.guard.entries.to_string());
            facts::set("archive-expanded-bytes", &self.guard.expanded.to_string());
        }
    }
}
