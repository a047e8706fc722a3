use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_types::{PolicyName, Sha256Digest, Untrusted};

use crate::resources::ResourceError;
use crate::settings::SettingsError;

/// The engine cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses the configuration, or there is no room for the instance pool.
    #[error("the sandbox cannot be started: {0}")]
    Sandbox(wasmtime::Error),
    /// The threads that policies run on, or the one that limits their time, cannot be started.
    #[error("the threads of the policies cannot be started: {0}")]
    Threads(std::io::Error),
}

/// A function that the host calls on a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Making the instance, before any call.
    Instantiate,
    /// `describe`.
    Describe,
    /// `configure`.
    Configure,
    /// `admit`.
    Admit,
    /// `chunk`.
    Chunk,
    /// `finish`.
    Finish,
    /// `suspend`.
    Suspend,
    /// `resume`.
    Resume,
    /// `place`.
    Place,
    /// `route`.
    Route,
}

impl Call {
    /// Its name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instantiate => "instantiate",
            Self::Describe => "describe",
            Self::Configure => "configure",
            Self::Admit => "admit",
            Self::Chunk => "chunk",
            Self::Finish => "finish",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Place => "place",
            Self::Route => "route",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy failed: which one, in which call, and why. For the operator, not for the uploader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy `{policy}` {version} (sha256:{}) failed in `{call}`: {cause}", short(*digest))]
pub struct PolicyFailure {
    /// Its name in the set.
    pub policy: PolicyName,
    /// The version that the component gives itself.
    pub version: String,
    /// The digest of the component.
    pub digest: Sha256Digest,
    /// The call in which it failed.
    pub call: Call,
    /// Why.
    pub cause: FailureCause,
}

/// The first twelve characters: enough to tell components apart in a sentence.
fn short(digest: Sha256Digest) -> String {
    let mut text = digest.to_string();
    text.truncate(12);
    text
}

/// Why a policy says that it cannot judge: its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotJudge {
    /// The settings cannot be used.
    BadSettings,
    /// Something that the judgement needs is not there.
    MissingData,
    /// The upload is of a kind that the policy does not know.
    Unsupported,
    /// Something is wrong within the policy.
    Internal,
}

impl fmt::Display for CannotJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadSettings => "bad settings",
            Self::MissingData => "missing data",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        })
    }
}

impl FailureCause {
    /// Its kind in one word, without what the policy said or saw.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Declared(CannotJudge::BadSettings, _) => "bad-settings",
            Self::Declared(CannotJudge::MissingData, _) => "missing-data",
            Self::Declared(CannotJudge::Unsupported, _) => "unsupported",
            Self::Declared(CannotJudge::Internal, _) => "internal",
            Self::Panic(_) => "panic",
            Self::Trap(_) => "trap",
            Self::Stack => "stack",
            Self::CallTime(_) => "call-time",
            Self::TotalTime(_) => "total-time",
            Self::Memory(_) => "memory",
            Self::Table(_) => "table-elements",
            Self::Oversized(_) => "hostcall-bytes",
            Self::Handles(_) => "handles",
            Self::Answer(_) => "answer",
            Self::KeepsFailing(_) => "keeps-failing",
            Self::NoRoom => "no-room",
        }
    }
}

/// Why a policy failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailureCause {
    /// It says that it cannot judge.
    #[error("it cannot judge this upload ({0}): {1}")]
    Declared(CannotJudge, String),
    /// It panicked or exited: where and with what message, as far as it wrote so to standard error.
    #[error("it panicked {0}")]
    Panic(String),
    /// The code trapped.
    #[error(
        "it trapped: {0}; that is a defect of the policy, which `portcullis policy run` shows with the same upload"
    )]
    Trap(String),
    /// Its stack was used up.
    #[error("it used up its stack of {} KiB; recursion without an end is the usual cause", crate::engine::WASM_STACK_BYTES >> 10)]
    Stack,
    /// One call ran too long.
    #[error("the call used over {} ms of CPU time without an answer; do less in one call, or raise `call-time-ms` in the policy's `limits` in the policy set", .0.as_millis())]
    CallTime(Duration),
    /// All calls together ran too long.
    #[error("its calls for this upload used over {} ms of CPU time in all; do less for each byte, or raise `total-time-ms` in the policy's `limits` in the policy set", .0.as_millis())]
    TotalTime(Duration),
    /// It wanted more memory than it may have.
    #[error(
        "it asked for more than {0} bytes of memory; keep less, or raise `memory-bytes` in the policy's `limits` in the policy set"
    )]
    Memory(usize),
    /// It wanted larger tables than it may have.
    #[error(
        "it asked for a table of more than {0} elements; raise `table-elements` in the policy's `limits` in the policy set"
    )]
    Table(usize),
    /// It handed over too much at once.
    #[error(
        "it handed more than {0} bytes to the host at once; hand over less, or raise `hostcall-bytes` in the policy's `limits` in the policy set"
    )]
    Oversized(usize),
    /// It keeps too many handles.
    #[error(
        "it keeps more than {0} handles of the host; drop those it does not need, or raise `handles` in the policy's `limits` in the policy set"
    )]
    Handles(usize),
    /// It answered something the contract does not allow.
    #[error("its answer breaks the contract (wit/0.1/policy.wit): {0}")]
    Answer(String),
    /// It failed so many times in a row, and is not asked for a while.
    #[error(
        "it failed {0} times in a row, so it is not asked for a while; the failures stand in the log before"
    )]
    KeepsFailing(u32),
    /// All instances are in use, or all the memory that policies have together, or this machine has so much to
    /// do that the call did not come to its end: not the policy's fault.
    #[error("there is no room for it on this machine now")]
    NoRoom,
}

/// A policy set cannot be used. Whatever served before goes on serving.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the policy set {path} cannot be read: {cause}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The file is not what a policy set looks like.
    #[error("{path}, line {line}, column {column}: {why}", path = path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// What is wrong there, with the key.
        why: String,
    },
    /// The set has too many policies, or two of one name.
    #[error("the policy set {path} is not valid: {reason}")]
    Set {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// One policy of the set cannot be used.
    #[error("policy `{policy}` ({}) cannot be loaded: {cause}", component.display())]
    Policy {
        /// Its name in the set.
        policy: PolicyName,
        /// Its component, as the set names it.
        component: PathBuf,
        /// Why.
        cause: Box<PolicyLoadError>,
    },
    /// The thread that loaded the set cannot be started, or ended early.
    #[error("loading the policy set was interrupted")]
    Interrupted,
    /// It takes too long, mostly because a component takes long to compile.
    #[error("loading the policy set took over {} s, at policy `{policy}`; a component this hard to compile is not taken", .limit.as_secs())]
    TooSlow {
        /// The policy that was being loaded.
        policy: String,
        /// How long it may take.
        limit: Duration,
    },
    /// Its files changed again and again while they were read.
    #[error("the files of the policy set {path} keep changing while they are read; try again when they are written", path = .0.display())]
    Unsteady(PathBuf),
    /// Another set is being loaded.
    #[error("another policy set is being loaded; try again when it is done")]
    Busy,
}

/// Something that policies may not import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForbiddenImport {
    /// Its name.
    pub name: String,
    /// What to do instead.
    pub advice: &'static str,
}

/// All of them, with the advice for those that follow one another and have the same.
fn listed(imports: &[ForbiddenImport]) -> String {
    let alike = imports.chunk_by(|one, next| one.advice == next.advice);
    let sentences = alike.map(|imports| {
        let names: Vec<String> = imports
            .iter()
            .map(|import| format!("`{}`", import.name))
            .collect();
        let advice = imports.first().map_or("", |import| import.advice);
        format!("{}, which policies may not use: {advice}", names.join(", "))
    });
    sentences.collect::<Vec<_>>().join("; and ")
}

/// Why one policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyLoadError {
    /// The component cannot be read.
    #[error("the component cannot be read: {0}; `cargo xtask policies` builds the standard ones")]
    Unreadable(std::io::Error),
    /// The component is too large.
    #[error("the component has {0} bytes; at most {max} are allowed", max = crate::component::MAX_COMPONENT_BYTES)]
    TooLarge(u64),
    /// It is not the component that the set names by its digest.
    #[error(
        "the component has the digest sha256:{found}, and the policy set wants sha256:{wanted} (`digest`); take the component that was meant, or name this one"
    )]
    Pinned {
        /// The digest in the set.
        wanted: Sha256Digest,
        /// That of the component.
        found: Sha256Digest,
    },
    /// Nobody who counts vouches for it.
    #[error("the component (sha256:{}) may not run: {why}", short(*digest))]
    Untrusted {
        /// The digest of the component.
        digest: Sha256Digest,
        /// Why.
        why: Untrusted,
    },
    /// There is too much of something in it.
    #[error("the component (sha256:{}) has {found} {what}; at most {most} are allowed: {advice}", short(*digest))]
    TooMuch {
        /// The digest of the component.
        digest: Sha256Digest,
        /// What there is too much of.
        what: &'static str,
        /// How many there are, as far as they were counted.
        found: u64,
        /// How many there may be.
        most: u64,
        /// What to do.
        advice: &'static str,
    },
    /// The file is a core module.
    #[error(
        "the file (sha256:{}) is a core module and no component; build it for the target wasm32-wasip2, or wrap it with `wasm-tools component new`", short(*.0)
    )]
    CoreModule(Sha256Digest),
    /// The file is not a component, or one that does not validate.
    #[error("the file (sha256:{}) is not a valid WebAssembly component: {cause}", short(*digest))]
    NotAComponent {
        /// The digest of the file.
        digest: Sha256Digest,
        /// What is wrong with it.
        cause: String,
    },
    /// The component imports what policies may not have.
    #[error("it (sha256:{}) imports {}", short(*digest), listed(imports))]
    ForbiddenImports {
        /// All of them.
        imports: Vec<ForbiddenImport>,
        /// The digest of the component.
        digest: Sha256Digest,
    },
    /// The component exports neither kind of policy in a version that is served.
    #[error(
        "it (sha256:{}) exports no `portcullis:policy/validation@0.1.0` or `portcullis:policy/routing@0.1.0`, or both; build it against contract version 0.1, for one of its worlds", short(*.0)
    )]
    Contract(Sha256Digest),
    /// The component was built against another version of the contract.
    #[error("it (sha256:{}) was built against contract version {version}; this host speaks 0.1.0, so build it against that", short(*digest))]
    Version {
        /// The digest of the component.
        digest: Sha256Digest,
        /// The version that it exports.
        version: String,
    },
    /// The component does not fit its own world.
    #[error("it does not fit the contract: {0}")]
    Link(String),
    /// Files that it asks for cannot be read.
    #[error("its resources cannot be read: {0}")]
    Resources(#[from] ResourceError),
    /// The settings cannot be handed over.
    #[error("its settings cannot be used: {0}")]
    Settings(#[from] SettingsError),
    /// `configure` refused the settings.
    #[error("it (sha256:{}) refuses its settings in `configure`: {reason}", short(*digest))]
    Refused {
        /// The digest of the component.
        digest: Sha256Digest,
        /// The policy's own words.
        reason: String,
    },
    /// `describe` or `configure` failed.
    #[error("{0}")]
    Failed(Box<PolicyFailure>),
    /// The limits cannot be used.
    #[error("its limits are not valid: {0}")]
    Limits(String),
    /// The cases that it must pass cannot be used.
    #[error(transparent)]
    Fixtures(#[from] crate::FixtureError),
    /// It does not say what a case expects.
    #[error("it does not pass the fixture `{name}`: {why}")]
    Fixture {
        /// The case.
        name: String,
        /// What it says instead.
        why: String,
    },
    /// A key that only the other kind of policy takes.
    #[error("{0}")]
    Kind(&'static str),
}
