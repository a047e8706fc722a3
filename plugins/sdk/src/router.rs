use serde::de::DeserializeOwned;

use crate::{Attribute, Destination, End, Failure, Placement, Rule, Setting, Upload};

/// A policy that says where an upload goes. Export it with [`router!`](crate::router!).
pub trait Router: Sized {
    /// The name of the policy in kebab-case, at most 64 bytes.
    const NAME: &'static str;

    /// One sentence: what the policy decides.
    const SUMMARY: &'static str;

    /// What it takes, for the administrator's eyes.
    const SETTINGS: &'static [Setting] = &[];

    /// What it checks: each rule that a refusal can name.
    const RULES: &'static [Rule] = &[];

    /// The attributes that it uses, so that a form can ask for them.
    const ATTRIBUTES: &'static [Attribute] = &[];

    /// The resources that it reads: paths beneath the policy set's folder, `*` within one part.
    const RESOURCES: &'static [&'static str] = &[];

    /// What it counts with [`meter::count`](crate::meter::count), for the operator's dashboards: at most 16 names in kebab-case of
    /// at most 40 bytes.
    const COUNTERS: &'static [&'static str] = &[];

    /// The settings, [`NoSettings`](crate::NoSettings) if there are none. Say
    /// `#[serde(deny_unknown_fields)]`, which the contract asks for.
    type Settings: DeserializeOwned;

    /// Called once before anything else, and also when the policy set is loaded.
    ///
    /// # Errors
    ///
    /// A sentence for the administrator that names the key and what it may be; it refuses the policy set.
    fn new(settings: Self::Settings) -> Result<Self, String>;

    /// Called once, after every validation policy has admitted the headers and before a byte is stored.
    /// What can be refused from the headers alone should be refused here.
    ///
    /// # Errors
    ///
    /// The policy cannot decide, and why.
    fn place(&mut self, upload: &Upload) -> Result<Placement, Failure>;

    /// Called once, after the last byte has passed, with what the validation policies learned.
    ///
    /// # Errors
    ///
    /// The policy cannot decide, and why.
    fn route(
        &mut self,
        upload: &Upload,
        end: &End,
        facts: &[(String, String)],
    ) -> Result<Destination, Failure>;
}
