//! A router for tests that answers what its settings say, whatever the upload is. It never checks anything:
//! what is wrong in its answers must be found by the engine.

use portcullis_policy::{Destination, End, Failure, Placement, Router, Setting, Upload};
use serde::Deserialize;

/// What to answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The disk; `local` unless set.
    #[serde(default = "local")]
    pub disk: String,
    /// The path; `{name}` in it stands for the fact of that name.
    pub path: String,
    /// How many times the path stands in the answer, for one that is too long; once unless set.
    #[serde(default = "once")]
    pub repeat: usize,
    /// Panics instead of answering.
    #[serde(default)]
    pub panic: bool,
}

fn local() -> String {
    "local".to_owned()
}

fn once() -> usize {
    1
}

/// The policy.
#[derive(Debug)]
pub struct Misroute(Settings);

impl Router for Misroute {
    const NAME: &'static str = "misroute";
    const SUMMARY: &'static str = "Answers the disk and the path of its settings, for tests.";
    const SETTINGS: &'static [Setting] = &[
        Setting::required("path", "The path to answer with."),
        Setting::optional("disk", "The disk to answer with; `local` unless set."),
        Setting::optional(
            "repeat",
            "How many times the path is repeated; 1 unless set.",
        ),
        Setting::optional("panic", "Panics instead of answering; false unless set."),
    ];
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self(settings))
    }

    fn place(&mut self, _: &Upload) -> Result<Placement, Failure> {
        Ok(Placement::Disk(self.0.disk.clone()))
    }

    fn route(
        &mut self,
        _: &Upload,
        _: &End,
        facts: &[(String, String)],
    ) -> Result<Destination, Failure> {
        assert!(!self.0.panic, "the router panics as it was told");
        let mut path = self.0.path.repeat(self.0.repeat);
        for (name, value) in facts {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        Ok(Destination::Path(path))
    }
}

portcullis_policy::router!(Misroute);

#[cfg(test)]
mod tests {
    use portcullis_policy::testing;

    use super::*;

    #[test]
    fn the_answer_is_that_of_the_settings() {
        let mut policy: Misroute =
            testing::configure_router(r#"{"path": "../x", "disk": "moon", "repeat": 2}"#)
                .expect("good");
        let upload = testing::upload("a");
        let disk = Placement::Disk("moon".to_owned());
        assert_eq!(policy.place(&upload), Ok(disk));
        let path = Destination::Path("../x../x".to_owned());
        assert_eq!(policy.route(&upload, &testing::end(0), &[]), Ok(path));
    }
}
