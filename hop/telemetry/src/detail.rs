//! What stands beside the sentence of a line. It comes from closed lists, from the configuration, or is a number or random.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

use opentelemetry::{KeyValue, Value};
use portcullis_types::Sha256Digest;

use crate::{Attribute, Label};

pub(crate) const ADDRESS: &str = "server.address";
pub(crate) const AUDIT_NOTE: &str = "portcullis.audit.note";
pub(crate) const CODE_FILE: &str = "code.file.path";
pub(crate) const CODE_LINE: &str = "code.line.number";
pub(crate) const COUNT: &str = "portcullis.count";
pub(crate) const DISK_STEP: &str = "portcullis.disk.step";
pub(crate) const ERRORS: &str = "portcullis.policy.log.errors";
pub(crate) const HOP_VERSION: &str = "portcullis.hop.version";
pub(crate) const IO: &str = "portcullis.io.error";
pub(crate) const LINES: &str = "portcullis.policy.log.lines";
pub(crate) const PAUSE: &str = "portcullis.pause_ms";
pub(crate) const POLICY_CALL: &str = "portcullis.policy.call";
pub(crate) const POLICY_CAUSE: &str = "portcullis.policy.cause";
pub(crate) const PROBLEM: &str = "portcullis.problem";
pub(crate) const REASON: &str = "portcullis.reason";
pub(crate) const REVISION: &str = "portcullis.revision.number";
pub(crate) const REVISION_DIGEST: &str = "portcullis.revision.digest";
pub(crate) const SERVICES_VERSION: &str = "portcullis.services.version";
pub(crate) const WARNINGS: &str = "portcullis.policy.log.warnings";

/// What stands beside the sentence of a line.
#[derive(Clone, Debug)]
pub enum Detail {
    /// What a span may say, too.
    Attribute(Attribute),
    /// What a metric may be told apart by, too.
    Label(Label),
    /// Where this server listens.
    Address(SocketAddr),
    /// What the operating system said.
    Io(io::ErrorKind),
    /// How many.
    Count(u64),
    /// For how long.
    Pause(Duration),
    /// A type of the problems that the servers answer with, without its address.
    Problem(&'static str),
    /// What a disk was to do.
    DiskStep(&'static str),
    /// The number of a revision.
    Revision(u64),
    /// The digest of a set of policies.
    RevisionDigest(Sha256Digest),
    /// The version of services.
    ServicesVersion(Note),
    /// The version of the hop that this program speaks.
    HopVersion(u16),
    /// A signature of the audit, which names nobody.
    AuditNote(Note),
    /// Why a policy failed: the kind of its failure.
    PolicyCause(&'static str),
    /// The function of a policy in which it failed.
    PolicyCall(&'static str),
    /// Lines that a policy wrote about an upload.
    PolicyLines(u64),
    /// Those of them that are warnings.
    PolicyWarnings(u64),
    /// Those of them that are errors.
    PolicyErrors(u64),
    /// Where in the program.
    Place(Place),
    /// Why.
    Reason(Reason),
}

/// A file of the program's source, with the name of its crate's folder, and a line.
#[derive(Clone, Debug)]
pub struct Place {
    file: String,
    line: u32,
}

/// Text of this program's own making.
#[derive(Clone, Debug)]
pub struct Note(String);

/// Text for the operator of this machine: the log on standard output has it, and no collector is sent it. It is made where no
/// upload is at hand, such as of the policies' files or of a catalog.
#[derive(Clone, Debug)]
pub struct Reason(String);

impl Detail {
    /// Why: an error of the configuration, of the policies' files, or of the catalog. Never one that has to do with an upload.
    pub fn reason(error: &impl Display) -> Self {
        Self::Reason(Reason(error.to_string()))
    }
}

impl Place {
    /// Where a panic began.
    pub(crate) fn of(location: &Location<'_>) -> Self {
        let file = location.file();
        // What stands before it is the folder in which the program was built.
        let within = file.rsplit_once("/src/").map_or(file, |(before, _)| {
            let named = before.rsplit('/').next().unwrap_or(before);
            &file[before.len() - named.len()..]
        });
        Self {
            file: within.to_owned(),
            line: location.line(),
        }
    }
}

impl Note {
    /// A version or a signature.
    pub fn of(text: &impl Display) -> Self {
        Self(text.to_string())
    }
}

impl From<Attribute> for Detail {
    fn from(attribute: Attribute) -> Self {
        Self::Attribute(attribute)
    }
}

impl From<Label> for Detail {
    fn from(label: Label) -> Self {
        Self::Label(label)
    }
}

impl Detail {
    /// Whether a collector may be sent it.
    pub(crate) fn may_leave(key: &str) -> bool {
        key != REASON
    }

    /// What OpenTelemetry has for it.
    pub(crate) fn write(self, into: &mut Vec<KeyValue>) {
        let number = |number: u64| Value::I64(i64::try_from(number).unwrap_or(i64::MAX));
        let (key, value): (_, Value) = match self {
            Self::Attribute(attribute) => return into.push(attribute.key_value()),
            Self::Label(label) => return label.write(into),
            Self::Address(address) => (ADDRESS, address.to_string().into()),
            Self::Io(kind) => (IO, kind.to_string().into()),
            Self::Count(count) => (COUNT, number(count)),
            Self::Pause(pause) => {
                let ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                (PAUSE, number(ms))
            }
            Self::Problem(slug) => (PROBLEM, slug.into()),
            Self::DiskStep(step) => (DISK_STEP, step.into()),
            Self::Revision(revision) => (REVISION, number(revision)),
            Self::RevisionDigest(digest) => (REVISION_DIGEST, digest.to_string().into()),
            Self::ServicesVersion(Note(text)) => (SERVICES_VERSION, text.into()),
            Self::HopVersion(version) => (HOP_VERSION, i64::from(version).into()),
            Self::AuditNote(Note(text)) => (AUDIT_NOTE, text.into()),
            Self::PolicyCause(kind) => (POLICY_CAUSE, kind.into()),
            Self::PolicyCall(call) => (POLICY_CALL, call.into()),
            Self::PolicyLines(count) => (LINES, number(count)),
            Self::PolicyWarnings(count) => (WARNINGS, number(count)),
            Self::PolicyErrors(count) => (ERRORS, number(count)),
            Self::Place(Place { file, line }) => {
                into.push(KeyValue::new(CODE_LINE, i64::from(line)));
                (CODE_FILE, file.into())
            }
            Self::Reason(Reason(text)) => (REASON, text.into()),
        };
        into.push(KeyValue::new(key, value));
    }
}
