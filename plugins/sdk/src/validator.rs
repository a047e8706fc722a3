use serde::de::DeserializeOwned;

use crate::{Admission, Attribute, Conclusion, End, Failure, Progress, Rule, Setting, Upload};

/// A policy that says whether an upload may pass. Export it with [`validator!`](crate::validator!).
///
/// The host makes a value for each upload and calls `admit`, then `chunk` while the answer is `more`, then
/// `finish`. After any other answer, and after a panic, nothing more is called.
pub trait Validator: Sized {
    /// The name of the policy in kebab-case, at most 64 bytes.
    const NAME: &'static str;

    /// One sentence: what the policy checks.
    const SUMMARY: &'static str;

    /// What it takes, for the administrator's eyes.
    const SETTINGS: &'static [Setting] = &[];

    /// What it checks: each rule that a refusal or a finding can name.
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

    /// Called once, before the first byte is read.
    ///
    /// # Errors
    ///
    /// The policy cannot judge this upload, and why.
    fn admit(&mut self, upload: &Upload) -> Result<Admission, Failure>;

    /// Called with the next bytes, 1 to 65,536 of them, cut at any place, if `admit` asked for them.
    ///
    /// # Errors
    ///
    /// The policy cannot judge this upload, and why.
    fn chunk(&mut self, offset: u64, bytes: &[u8]) -> Result<Progress, Failure> {
        let _ = (offset, bytes);
        Ok(Progress::More)
    }

    /// Called once when the upload is complete, unless the policy has decided before.
    ///
    /// # Errors
    ///
    /// The policy cannot judge this upload, and why.
    fn finish(&mut self, end: &End) -> Result<Conclusion, Failure> {
        let _ = end;
        Ok(Conclusion::Accept)
    }

    /// The state of the policy as bytes, for an upload that pauses; absent when it must see the upload
    /// again from its beginning.
    ///
    /// # Errors
    ///
    /// The state cannot be given now.
    fn suspend(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    /// Goes on from a state that [`suspend`](Self::suspend) gave, in place of `admit`. What is reported, tallied and set as a
    /// fact meanwhile is dropped: it was before.
    ///
    /// # Errors
    ///
    /// The state cannot be used.
    fn resume(&mut self, upload: &Upload, state: &[u8]) -> Result<(), Failure> {
        let _ = (upload, state);
        let reason = "this policy never gives a state to go on from";
        Err(Failure::Unsupported(reason.to_owned()))
    }
}
