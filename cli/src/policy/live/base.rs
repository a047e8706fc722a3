//! Which revision a folder began from: so that nobody undoes a change that they have not seen.

use std::path::Path;

use anyhow::{Context, Result, bail};
use portcullis_hop::policies::trial::TrialState;
use portcullis_hop::policies::{RevisionNumber, Revisions};

use super::active;

/// The file that says so.
const FILE: &str = ".portcullis-revision";

/// Writes down that a folder is this revision.
pub(crate) fn write(folder: &Path, number: RevisionNumber) -> Result<()> {
    let path = folder.join(FILE);
    std::fs::write(&path, format!("{number}\n"))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The revision that a folder began from, if that is known.
pub(crate) fn read(folder: &Path) -> Result<Option<RevisionNumber>> {
    let path = folder.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let number = text.trim().parse();
            let number = number.with_context(|| format!("{} has no number", path.display()))?;
            Ok(Some(RevisionNumber(number)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// The revision that whoever changes something believes to be active.
///
/// # Errors
/// Another one is, or nothing says that they know of it.
pub(crate) fn of(
    folder: &Path,
    given: Option<u64>,
    known: &Revisions,
) -> Result<Option<RevisionNumber>> {
    let base = match given {
        Some(number) => Some(RevisionNumber(number)),
        None => read(folder)?,
    };
    let Some(active) = active(known) else {
        return Ok(None);
    };
    let (number, change) = (active.number, &active.change);
    let about = format!(
        "revision {number} is active, since {} by {}: \"{}\"",
        change.at, change.author, change.note
    );
    let shown = folder.display();
    match base {
        Some(base) if base == number || was_dropped(known, base, number) => Ok(Some(number)),
        Some(base) => bail!(
            "{about}; {shown} began from revision {base}. Nothing was changed: look at `portcullis policy diff {base} {number}`, bring that over, and apply with --base {number}"
        ),
        None => bail!(
            "{about}; nothing says that {shown} began from it. Nothing was changed: look at `portcullis policy diff {number} {shown}`, and apply with --base {number} if that is what you want"
        ),
    }
}

/// Whether a revision never became active, and its author knew of the one that is.
fn was_dropped(known: &Revisions, revision: RevisionNumber, active: RevisionNumber) -> bool {
    let mut revisions = known.revisions.iter();
    let revision = revisions.find(|it| it.number == revision);
    revision.is_some_and(|it| {
        let trial = it.trial.as_ref().map(|trial| trial.state);
        trial == Some(TrialState::Dropped) && it.base == Some(active)
    })
}
