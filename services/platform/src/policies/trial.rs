//! A revision on trial: it judges in the shadow for a while, and becomes active by itself when the numbers hold.

use portcullis_hop::policies::trial::{
    DropTrial, MAX_TRIAL_SECONDS, Trial, TrialState, TrialTerms,
};
use portcullis_hop::policies::{Change, HostStatus, RevisionNumber};
use portcullis_types::Timestamp;

use super::{Policies, PolicyError, activate, audit};
use crate::catalog::{Action, Actor, CatalogError, PolicyRows, Rows, TrialRows};

/// Who acts when a trial ends by itself.
const ITSELF: &str = "trial";

impl Policies {
    /// Ends a trial without its revision becoming active.
    ///
    /// # Errors
    /// That revision is not on trial.
    pub async fn drop_trial(&self, wanted: DropTrial, actor: Actor) -> Result<(), PolicyError> {
        let change = self.change(&actor.subject, &wanted.author, &wanted.note)?;
        let number = wanted.number;
        let end = move |rows: &Rows| {
            let running = TrialRows::running(rows)?;
            if running.map(|(number, _)| number) != Some(number) {
                return Err(PolicyError::NotOnTrial(number));
            }
            end(rows, number, &change, &actor)?;
            Ok(TrialRows::changes(rows)?)
        };
        let changes = self.0.catalog.run(end).await?;
        self.tell(changes);
        Ok(())
    }

    /// Judges the trial whose time has come, if there is one. Says whether there was.
    ///
    /// # Errors
    /// The catalog fails.
    pub async fn judge_trial(&self) -> Result<bool, PolicyError> {
        let now = self.0.clock.now();
        let judge = move |rows: &Rows| {
            let running = TrialRows::running(rows)?;
            let Some((number, _)) = running.filter(|(_, ends_at)| now >= *ends_at) else {
                return Ok(None);
            };
            let trial = TrialRows::of(rows, number)?.ok_or(CatalogError::Damaged)?;
            let author = PolicyRows::revision(rows, number)?;
            let author = author.map_or(String::new(), |revision| revision.sent.author);
            match verdict(&trial) {
                Ok(held) => {
                    let change = itself(now, author, held);
                    activate(rows, number, change, &Actor::itself(ITSELF))?;
                }
                Err(broken) => {
                    let change = itself(now, author, broken);
                    end(rows, number, &change, &Actor::itself(ITSELF))?;
                }
            }
            Ok::<_, PolicyError>(Some(TrialRows::changes(rows)?))
        };
        let changes = self.0.catalog.run(judge).await?;
        if let Some(changes) = changes {
            self.tell(changes);
        }
        Ok(changes.is_some())
    }

    /// A web host that cannot run a revision in the shadow could not run it at all: its trial is over.
    pub(super) async fn heed_refusal(&self, host: &HostStatus) -> Result<(), PolicyError> {
        let Some(refused) = host.refused.clone() else {
            return Ok(());
        };
        let (now, name) = (self.0.clock.now(), host.name.clone());
        let end = move |rows: &Rows| {
            let Some((number, _)) = TrialRows::running(rows)? else {
                return Ok(None);
            };
            if number != refused.number {
                return Ok(None);
            }
            let why = format!("the web host {name} refuses it: {}", refused.error);
            let change = itself(now, name, why);
            end(rows, number, &change, &Actor::itself(ITSELF))?;
            Ok::<_, PolicyError>(Some(TrialRows::changes(rows)?))
        };
        if let Some(changes) = self.0.catalog.run(end).await? {
            self.tell(changes);
        }
        Ok(())
    }
}

/// Begins the trial of a revision that has just been sent. Gives when it ends.
pub(super) fn start(
    rows: &Rows,
    number: RevisionNumber,
    terms: &TrialTerms,
    change: &Change,
    actor: &Actor,
) -> Result<Timestamp, PolicyError> {
    let allowed = terms.max_new_rejections_percent;
    if !(1..=MAX_TRIAL_SECONDS).contains(&terms.seconds)
        || !(0.0..=100.0).contains(&allowed)
        || terms.min_uploads == 0
    {
        return Err(PolicyError::Terms);
    }
    if let Some((number, until)) = TrialRows::running(rows)? {
        return Err(PolicyError::OnTrial { number, until });
    }
    let ends_at = change
        .at
        .plus(std::time::Duration::from_secs(terms.seconds));
    TrialRows::start(rows, number, terms, change.at, ends_at)?;
    audit(rows, Action::PoliciesOnTrial, number, change, actor)?;
    Ok(ends_at)
}

/// What becomes of a trial when a revision becomes active.
pub(super) fn settle(
    rows: &Rows,
    active: RevisionNumber,
    change: &Change,
) -> Result<(), CatalogError> {
    let Some((number, _)) = TrialRows::running(rows)? else {
        return Ok(());
    };
    if number == active {
        let (state, why) = (TrialState::Enforced, &change.note);
        return TrialRows::end(rows, number, state, why, change.at);
    }
    let why = format!("revision {active} became active meanwhile");
    let change = itself(change.at, change.author.clone(), why);
    end(rows, number, &change, &Actor::itself(ITSELF))
}

/// Ends a trial without its revision becoming active.
fn end(
    rows: &Rows,
    number: RevisionNumber,
    change: &Change,
    actor: &Actor,
) -> Result<(), CatalogError> {
    TrialRows::end(rows, number, TrialState::Dropped, &change.note, change.at)?;
    audit(rows, Action::PoliciesTrialDropped, number, change, actor)
}

fn itself(at: Timestamp, author: String, note: String) -> Change {
    Change {
        at,
        subject: ITSELF.to_owned(),
        author,
        note,
    }
}

/// Whether the numbers hold, in a sentence.
fn verdict(trial: &Trial) -> Result<String, String> {
    let Trial {
        terms,
        judged,
        newly_refused,
        ..
    } = trial;
    let (least, most) = (terms.min_uploads, terms.max_new_rejections_percent);
    if *judged < least {
        return Err(format!(
            "{judged} uploads were judged, and {least} are needed; let it judge for longer, or ask for fewer with --min-uploads"
        ));
    }
    let percent = percent(*newly_refused, *judged);
    let numbers = format!(
        "{newly_refused} of {judged} uploads newly refused, {percent:.2} % where {most} % are allowed"
    );
    if percent <= most {
        Ok(numbers)
    } else {
        Err(format!(
            "{numbers}; look at `portcullis policy shadow-report`"
        ))
    }
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn percent(part: u64, all: u64) -> f64 {
    part as f64 * 100.0 / all as f64
}
