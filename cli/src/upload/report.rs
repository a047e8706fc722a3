//! What became of each file, for people and for programs.

use portcullis_types::Finding;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::files::LocalFile;
use super::send::Ended;
use crate::findings;
use crate::screen::{BAD, DOUBTFUL, GOOD, styled};

/// One file.
pub(crate) struct Report {
    file: String,
    ended: Ended,
}

impl Report {
    pub(crate) fn new(file: &LocalFile, ended: Ended) -> Self {
        Self {
            file: file.relative.clone(),
            ended,
        }
    }

    pub(crate) fn ended(&self) -> &Ended {
        &self.ended
    }

    fn verdict(&self) -> &'static str {
        match &self.ended {
            Ended::Stored(_) if self.ended.is_set_apart() => "quarantined",
            Ended::Stored(_) => "stored",
            Ended::Refused(_) => "refused",
            Ended::Failed(_) => "not sent",
        }
    }

    /// Says it in a few lines.
    pub(crate) fn print(&self) {
        let file = self.file.escape_debug();
        let style = match &self.ended {
            Ended::Stored(_) if self.ended.is_set_apart() => DOUBTFUL,
            Ended::Stored(_) => GOOD,
            Ended::Refused(_) | Ended::Failed(_) => BAD,
        };
        let word = styled(style, self.verdict());
        let text = |value: &Value| {
            value
                .as_str()
                .unwrap_or_default()
                .escape_debug()
                .to_string()
        };
        match &self.ended {
            Ended::Stored(receipt) => {
                let (path, version) = (text(&receipt["path"]), &receipt["version"]);
                anstream::println!(
                    "{word}  {file}: {path}, version {version}, upload {}",
                    text(&receipt["id"])
                );
            }
            Ended::Refused(problem) => {
                let support = problem.support_id.as_deref().unwrap_or("-");
                anstream::println!("{word}  {file}: {} (support id {support})", problem.detail);
            }
            Ended::Failed(why) => anstream::println!("{word}  {file}: {why}."),
        }
        let listed = self.findings();
        if !listed.is_empty() {
            anstream::print!("{}", findings::table(&listed));
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let listed = match &self.ended {
            Ended::Stored(receipt) => receipt.get("findings"),
            Ended::Refused(problem) => problem.extensions.get("findings"),
            Ended::Failed(_) => None,
        };
        let listed = listed
            .cloned()
            .and_then(|listed| serde_json::from_value(listed).ok());
        listed.unwrap_or_default()
    }
}

/// The last line.
pub(crate) fn print_sum(reports: &[Report]) {
    if reports.len() < 2 {
        return;
    }
    let words = ["stored", "quarantined", "refused", "not sent"].map(|word| {
        let count = reports
            .iter()
            .filter(|report| report.verdict() == word)
            .count();
        (count > 0).then(|| format!("{count} {word}"))
    });
    let words: Vec<String> = words.into_iter().flatten().collect();
    anstream::println!("{} files: {}", reports.len(), words.join(", "));
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("file", &self.file)?;
        map.serialize_entry("verdict", self.verdict())?;
        match &self.ended {
            Ended::Stored(receipt) => map.serialize_entry("receipt", receipt)?,
            Ended::Refused(problem) => map.serialize_entry("problem", problem)?,
            Ended::Failed(why) => map.serialize_entry("why", why)?,
        }
        map.end()
    }
}
