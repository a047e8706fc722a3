//! Routes: a folder for each day and sender, large tables to a disk of their own.

use portcullis_policy::{Destination, End, Failure, NoSettings, Placement, Router, Rule, Upload};

struct ByDay;

impl Router for ByDay {
    const NAME: &'static str = "by-day";
    const SUMMARY: &'static str =
        "A folder for each day and sender; large uploads go to the disk `bulk`.";
    const RULES: &'static [Rule] = &[];
    type Settings = NoSettings;

    fn new(_: NoSettings) -> Result<Self, String> {
        Ok(Self)
    }

    /// Before a byte has come: only what was declared is known.
    fn place(&mut self, upload: &Upload) -> Result<Placement, Failure> {
        let is_large = upload.length.is_some_and(|length| length > 1_000_000_000);
        Ok(Placement::Disk(
            if is_large { "bulk" } else { "local" }.to_owned(),
        ))
    }

    /// After the last byte, with what the validation policies learned.
    fn route(
        &mut self,
        upload: &Upload,
        _: &End,
        facts: &[(String, String)],
    ) -> Result<Destination, Failure> {
        let rows = facts.iter().find(|(name, _)| name == "rows");
        let rows = rows.map_or_else(String::new, |(_, rows)| format!("-{rows}-rows"));
        let sender: String = upload
            .principal
            .subject
            .chars()
            .filter(|char| char.is_ascii_alphanumeric() || *char == '-')
            .collect();
        let (day, id) = (upload.received_on(), &upload.id);
        // The name of the file is the client's: the id is ours, and cannot be wrong in a path.
        Ok(Destination::Path(format!("{day}/{sender}/{id}{rows}")))
    }
}

portcullis_policy::router!(ByDay);
