//! Before a policy serves, it says to the cases of its set what they expect.

use std::io::Cursor;
use std::sync::Arc;

use crate::FailureCause;
use crate::error::PolicyLoadError;
use crate::fixture::{Expected, Fixture};
use crate::resources::Resources;
use crate::revision::Policy;
use crate::set_files::SetFiles;
use crate::settings;
use crate::trial::{self, Attempt, Cuts, Trial};

/// Cuts at which no line or cell ends by chance; a policy that depends on them is found here at the latest.
const ODD_CUTS: Cuts = Cuts::Every(1_009);

/// Lets a policy say to each case in a folder of its set what it would say to such an upload: with the settings, limits
/// and resources of the set where the case has none of its own.
///
/// # Errors
/// A case cannot be used, or the policy says something else.
pub(crate) async fn rehearse(
    policy: &Arc<Policy>,
    files: &mut SetFiles,
    folder: &str,
    most_memory: usize,
) -> Result<(), PolicyLoadError> {
    for fixture in Fixture::find(files, folder)? {
        let variant = variant(policy, &fixture, files, most_memory)?;
        for cuts in [Cuts::LONGEST, ODD_CUTS] {
            if let Some(why) = contradiction(&variant, &fixture, &cuts).await? {
                let name = fixture.name;
                return Err(PolicyLoadError::Fixture { name, why });
            }
        }
    }
    Ok(())
}

/// The policy as a case wants it.
fn variant(
    policy: &Policy,
    fixture: &Fixture,
    files: &mut SetFiles,
    most_memory: usize,
) -> Result<Arc<Policy>, PolicyLoadError> {
    let mut variant = policy.clone();
    // What a case expects has been written with it.
    variant.may_quote = true;
    if let Some(settings) = &fixture.settings {
        variant.settings = settings::to_json(settings)?.to_string().into();
    }
    if let Some(limits) = fixture.limits {
        limits.check(most_memory)?;
        variant.limits = limits;
    }
    if let Some(folder) = &fixture.resources {
        let patterns = &policy.description.resources;
        variant.resources = Arc::new(Resources::read(files, folder, patterns)?);
    }
    if !fixture.request.disks.is_empty() {
        variant.disks.clone_from(&fixture.request.disks);
    }
    Ok(Arc::new(variant))
}

/// What the policy says instead of what the case expects.
async fn contradiction(
    policy: &Arc<Policy>,
    fixture: &Fixture,
    cuts: &Cuts,
) -> Result<Option<String>, PolicyLoadError> {
    let Some(expected) = &fixture.expected else {
        let why = "there is no expected.toml; `portcullis policy test --bless` writes it";
        return Ok(Some(why.to_owned()));
    };
    let upload = match fixture.request.upload() {
        Ok(upload) => upload,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let attempt = Attempt {
        upload: &upload,
        facts: &fixture.request.facts(),
        cuts,
        pauses: false,
    };
    let mut body = Cursor::new(&fixture.body);
    let trial = trial::run(policy, &attempt, &mut body).await;
    let trial: Trial = trial.map_err(PolicyLoadError::Unreadable)?;
    match &trial.outcome {
        // The fault of whatever else runs on this machine.
        Err(failure) if failure.cause == FailureCause::NoRoom => {
            Err(PolicyLoadError::Failed(failure.clone().into()))
        }
        _ => Ok(expected.difference(&Expected::of(&trial))),
    }
}
