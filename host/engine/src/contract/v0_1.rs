//! Version 0.1: `wit/0.1/policy.wit`. Everything that knows its bindings stands here.

use std::collections::BTreeSet;

use portcullis_types::{CounterName, Finding, InvalidCounterName, Severity};
use wasmtime::Store;
use wasmtime::component::Linker;

use crate::answer::{Admission, Conclusion, Extent, Failure, Progress, Refusal};
use crate::component::Exports;
use crate::guest::{Guest, MAX_COUNTERS};
use crate::instance::Kind;
use crate::{CannotJudge, DescribedAttribute, Description, End, Upload};

mod validation {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1",
        world: "validation-policy",
        exports: { default: async },
    });
}

mod routing {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1",
        world: "routing-policy",
        exports: { default: async },
        with: {
            "portcullis:policy/types": super::validation::portcullis::policy::types,
            "portcullis:policy/log": super::validation::portcullis::policy::log,
            "portcullis:policy/resources": super::validation::portcullis::policy::resources,
            "portcullis:policy/meter": super::validation::portcullis::policy::meter,
        },
    });
}

use routing::exports::portcullis::policy::routing as routes;
use validation::exports::portcullis::policy::validation as validates;
use validation::portcullis::policy::{facts, findings, log, meter, resources, types};

pub(crate) use routing::{RoutingPolicy, RoutingPolicyPre};
pub(crate) use validation::{ValidationPolicy, ValidationPolicyPre};

/// What a component must export to be a validation policy.
pub(crate) const VALIDATION: &str = "portcullis:policy/validation@0.1.0";
/// What a component must export to be a routing policy.
pub(crate) const ROUTING: &str = "portcullis:policy/routing@0.1.0";
/// What a component may import of the contract.
pub(crate) const IMPORTS: [&str; 6] = [
    "portcullis:policy/types@0.1.0",
    "portcullis:policy/log@0.1.0",
    "portcullis:policy/findings@0.1.0",
    "portcullis:policy/facts@0.1.0",
    "portcullis:policy/resources@0.1.0",
    "portcullis:policy/meter@0.1.0",
];

const MAX_RULE_BYTES: usize = 64;
const MAX_MESSAGE_BYTES: usize = 1024;
const MAX_COLUMN_BYTES: usize = 256;
const MAX_EXCERPT_BYTES: usize = 256;

/// What a call gives: a trap outside, the policy's own word inside.
type Answered<T> = wasmtime::Result<Result<T, Failure>>;

pub(crate) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    struct Own;
    impl wasmtime::component::HasData for Own {
        type Data<'a> = &'a mut Guest;
    }
    log::add_to_linker::<Guest, Own>(linker, |guest| guest)?;
    findings::add_to_linker::<Guest, Own>(linker, |guest| guest)?;
    facts::add_to_linker::<Guest, Own>(linker, |guest| guest)?;
    resources::add_to_linker::<Guest, Own>(linker, |guest| guest)?;
    meter::add_to_linker::<Guest, Own>(linker, |guest| guest)
}

impl types::Host for Guest {}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Error => tracing::Level::ERROR,
        };
        self.log(level, &message);
    }
}

impl findings::Host for Guest {
    fn report(&mut self, finding: types::Finding) -> bool {
        let excerpt = finding.excerpt.filter(|_| self.may_quote());
        let finding = Finding {
            policy: self.policy().clone(),
            rule: cut(finding.rule, MAX_RULE_BYTES),
            severity: match finding.severity {
                types::Severity::Info => Severity::Info,
                types::Severity::Warning => Severity::Warning,
                types::Severity::Error => Severity::Error,
            },
            message: cut(finding.message, MAX_MESSAGE_BYTES),
            row: finding.row,
            column: finding.column.map(|column| cut(column, MAX_COLUMN_BYTES)),
            offset: finding.offset,
            excerpt: excerpt.map(|excerpt| cut(excerpt, MAX_EXCERPT_BYTES)),
        };
        self.report(finding)
    }

    fn tally(&mut self, rule: String, column: Option<String>, n: u64) {
        let column = column.map(|column| cut(column, MAX_COLUMN_BYTES));
        self.collected.tally(cut(rule, MAX_RULE_BYTES), column, n);
    }
}

impl facts::Host for Guest {
    fn set(&mut self, name: String, value: String) {
        self.collected.set_fact(name, value);
    }
}

impl resources::Host for Guest {
    fn get(&mut self, name: String) -> Option<Vec<u8>> {
        self.resource(&name).map(<[u8]>::to_vec)
    }
}

impl meter::Host for Guest {
    fn count(&mut self, counter: String, n: u64) {
        self.count(&counter, n);
    }
}

impl Kind for ValidationPolicy {
    async fn instantiate(exports: &Exports, store: &mut Store<Guest>) -> wasmtime::Result<Self> {
        match exports {
            Exports::Validation(pre) => pre.instantiate_async(store).await,
            Exports::Routing(_) => Err(wasmtime::Error::msg("not a validation policy")),
        }
    }

    async fn describe(
        &self,
        store: &mut Store<Guest>,
    ) -> wasmtime::Result<Result<Description, String>> {
        let described = self.portcullis_policy_validation().call_describe(store);
        described.await.map(description)
    }

    async fn configure(&self, store: &mut Store<Guest>, settings: &str) -> Answered<()> {
        let policy = self.portcullis_policy_validation();
        let answer = policy.call_configure(store, settings).await?;
        Ok(answer.map_err(failure))
    }
}

impl Kind for RoutingPolicy {
    async fn instantiate(exports: &Exports, store: &mut Store<Guest>) -> wasmtime::Result<Self> {
        match exports {
            Exports::Routing(pre) => pre.instantiate_async(store).await,
            Exports::Validation(_) => Err(wasmtime::Error::msg("not a routing policy")),
        }
    }

    async fn describe(
        &self,
        store: &mut Store<Guest>,
    ) -> wasmtime::Result<Result<Description, String>> {
        let described = self.portcullis_policy_routing().call_describe(store);
        described.await.map(description)
    }

    async fn configure(&self, store: &mut Store<Guest>, settings: &str) -> Answered<()> {
        let policy = self.portcullis_policy_routing();
        let answer = policy.call_configure(store, settings).await?;
        Ok(answer.map_err(failure))
    }
}

pub(crate) async fn admit(
    policy: &ValidationPolicy,
    store: &mut Store<Guest>,
    upload: &Upload,
) -> Answered<Admission> {
    let policy = policy.portcullis_policy_validation();
    let answer = policy.call_admit(store, &shown(upload)).await?;
    Ok(answer.map_err(failure).map(|admission| match admission {
        validates::Admission::Accept => Admission::Accept,
        validates::Admission::Reject(refused) => Admission::Reject(refusal(refused)),
        validates::Admission::Inspect(validates::Extent::All) => Admission::Inspect(Extent::All),
        validates::Admission::Inspect(validates::Extent::Prefix(bytes)) => {
            Admission::Inspect(Extent::Prefix(bytes))
        }
    }))
}

pub(crate) async fn chunk(
    policy: &ValidationPolicy,
    store: &mut Store<Guest>,
    offset: u64,
    bytes: &[u8],
) -> Answered<Progress> {
    let policy = policy.portcullis_policy_validation();
    let answer = policy.call_chunk(store, offset, bytes).await?;
    Ok(answer.map_err(failure).map(|progress| match progress {
        validates::Progress::More => Progress::More,
        validates::Progress::Accept => Progress::Decided(Conclusion::Accept),
        validates::Progress::Quarantine(refused) => {
            Progress::Decided(Conclusion::Quarantine(refusal(refused)))
        }
        validates::Progress::Reject(refused) => {
            Progress::Decided(Conclusion::Reject(refusal(refused)))
        }
    }))
}

pub(crate) async fn finish(
    policy: &ValidationPolicy,
    store: &mut Store<Guest>,
    end: &End,
) -> Answered<Conclusion> {
    let policy = policy.portcullis_policy_validation();
    let answer = policy.call_finish(store, &ended(end)).await?;
    Ok(answer.map_err(failure).map(|conclusion| match conclusion {
        validates::Conclusion::Accept => Conclusion::Accept,
        validates::Conclusion::Quarantine(refused) => Conclusion::Quarantine(refusal(refused)),
        validates::Conclusion::Reject(refused) => Conclusion::Reject(refusal(refused)),
    }))
}

/// Gives the state, if the policy has one to give.
pub(crate) async fn suspend(
    policy: &ValidationPolicy,
    store: &mut Store<Guest>,
) -> Answered<Option<Vec<u8>>> {
    let policy = policy.portcullis_policy_validation();
    let answer = policy.call_suspend(store).await?;
    Ok(answer.map_err(failure))
}

pub(crate) async fn resume(
    policy: &ValidationPolicy,
    store: &mut Store<Guest>,
    upload: &Upload,
    state: &[u8],
) -> Answered<()> {
    let policy = policy.portcullis_policy_validation();
    let answer = policy.call_resume(store, &shown(upload), state).await?;
    Ok(answer.map_err(failure))
}

/// Gives the name of the disk.
pub(crate) async fn place(
    policy: &RoutingPolicy,
    store: &mut Store<Guest>,
    upload: &Upload,
) -> Answered<Result<String, Refusal>> {
    let policy = policy.portcullis_policy_routing();
    let answer = policy.call_place(store, &shown(upload)).await?;
    Ok(answer.map_err(failure).map(|placement| match placement {
        routes::Placement::Disk(disk) => Ok(disk),
        routes::Placement::Reject(refused) => Err(refusal(refused)),
    }))
}

/// Gives the path.
pub(crate) async fn route(
    policy: &RoutingPolicy,
    store: &mut Store<Guest>,
    upload: &Upload,
    end: &End,
    facts: &[(String, String)],
) -> Answered<Result<String, Refusal>> {
    let policy = policy.portcullis_policy_routing();
    let (upload, end) = (shown(upload), ended(end));
    let answer = policy.call_route(store, &upload, &end, facts).await?;
    Ok(answer
        .map_err(failure)
        .map(|destination| match destination {
            routes::Destination::Path(path) => Ok(path),
            routes::Destination::Reject(refused) => Err(refusal(refused)),
        }))
}

/// The upload in the words of this version.
fn shown(upload: &Upload) -> types::Upload {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    types::Upload {
        id: upload.id.to_string(),
        filename: upload.filename.clone(),
        folder: upload.folder.as_ref().map(ToString::to_string),
        media_type: upload.media_type.clone(),
        length: upload.length,
        attributes: upload.attributes.iter().map(owned).collect(),
        principal: types::Principal {
            subject: upload.principal.subject().to_owned(),
            groups: upload.principal.groups().map(str::to_owned).collect(),
        },
        submission: None,
        received_at_ms: u64::try_from(upload.received_at.as_ms()).unwrap_or(0),
    }
}

fn ended(end: &End) -> types::End {
    types::End {
        length: end.length,
        sha256: end.sha256.to_string(),
    }
}

/// # Errors
/// It says what may not be said; the text says what.
fn description(description: types::Description) -> Result<Description, String> {
    let rule = |rule: types::Rule| (rule.id, rule.summary);
    let attribute = |attribute: types::Attribute| DescribedAttribute {
        name: attribute.name,
        label: attribute.label,
        required: attribute.required,
        choices: attribute.choices,
    };
    Ok(Description {
        name: cut(description.name, MAX_RULE_BYTES),
        version: cut(description.version, MAX_RULE_BYTES),
        summary: cut(description.summary, MAX_MESSAGE_BYTES),
        settings_schema: description.settings_schema,
        rules: description.rules.into_iter().map(rule).collect(),
        attributes: description.attributes.into_iter().map(attribute).collect(),
        resources: description.resources,
        counters: counters(&description.counters)?,
    })
}

/// They are labels of metrics, so that they are few and plain.
fn counters(named: &[String]) -> Result<BTreeSet<CounterName>, String> {
    if named.len() > MAX_COUNTERS {
        let found = named.len();
        return Err(format!(
            "it describes {found} counters; at most {MAX_COUNTERS} are possible"
        ));
    }
    let parsed = named.iter().map(|name| name.parse());
    parsed
        .collect::<Result<_, InvalidCounterName>>()
        .map_err(|error| format!("it describes a counter with a name that is none: {error}"))
}

fn refusal(refusal: types::Refusal) -> Refusal {
    Refusal {
        rule: cut(refusal.rule, MAX_RULE_BYTES),
        message: cut(refusal.message, MAX_MESSAGE_BYTES),
    }
}

fn failure(failure: types::Failure) -> Failure {
    let (kind, reason) = match failure {
        types::Failure::BadSettings(reason) => (CannotJudge::BadSettings, reason),
        types::Failure::MissingData(reason) => (CannotJudge::MissingData, reason),
        types::Failure::Unsupported(reason) => (CannotJudge::Unsupported, reason),
        types::Failure::Internal(reason) => (CannotJudge::Internal, reason),
    };
    Failure {
        kind,
        reason: cut(reason, MAX_MESSAGE_BYTES).replace('\n', " "),
    }
}

fn cut(mut text: String, max_bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}
