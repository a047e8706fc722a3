//! `portcullis policy shadow-report`: what policies in the shadow would have done.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use portcullis_hop::policies::shadow::{ShadowPolicy, ShadowQuery};
use portcullis_types::{Clock, Incomplete, PolicyName};

use super::Connection;
use super::period::Period;
use crate::screen::{self, DIM, HEAD, styled};

/// The most values of attributes that are shown.
const MAX_VALUES: usize = 20;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this policy.
    #[arg(long, value_name = "NAME")]
    policy: Option<PolicyName>,
    /// Only uploads of so long ago at most, such as 30m, 12h or 7d.
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: Period,
    /// Only this set, by its digest: that of a revision, which may be on trial.
    #[arg(long, value_name = "DIGEST")]
    set: Option<portcullis_types::Sha256Digest>,
    #[command(flatten)]
    connection: Connection,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let since: Duration = arguments.since.into();
    let query = ShadowQuery {
        policy: arguments.policy.clone(),
        set: arguments.set,
        since: Some(Clock::system().now().minus(since)),
    };
    let summary = arguments.connection.open()?.shadow_summary(&query).await?;
    if arguments.json {
        screen::json(&summary)?;
        return Ok(ExitCode::SUCCESS);
    }
    if summary.policies.is_empty() {
        bail!(
            "no policy was in the shadow since then; put one there with `mode = \"shadow\"` in policies.toml, or a whole set with `portcullis policy apply --after`"
        );
    }
    for policy in &summary.policies {
        print(policy);
    }
    if summary.truncated {
        let more = "there are more verdicts than these; ask for a shorter time with --since";
        anstream::println!("{}", styled(DIM, more));
    }
    Ok(ExitCode::SUCCESS)
}

fn print(policy: &ShadowPolicy) {
    let short = |digest: portcullis_types::Sha256Digest| -> String {
        digest.to_string().chars().take(12).collect()
    };
    let which = format!(
        "sha256:{} in set {}",
        short(policy.digest),
        short(policy.set)
    );
    anstream::println!(
        "{}  {}",
        styled(HEAD, policy.policy.as_str()),
        styled(DIM, which)
    );
    let judged = policy.judged;
    anstream::println!("  judged            {judged}");
    anstream::println!("  nothing changed   {}", share(policy.unchanged, judged));
    anstream::println!(
        "  newly refused     {}",
        share(policy.newly_refused, judged)
    );
    anstream::println!(
        "  newly set apart   {}",
        share(policy.newly_set_apart, judged)
    );
    anstream::println!("  newly let pass    {}", share(policy.newly_passed, judged));
    anstream::println!("  it failed         {}", share(policy.failed, judged));
    for (why, count) in &policy.incomplete {
        let why = match why {
            Incomplete::Behind => "it was slower than the upload",
            Incomplete::NoRoom => "there was no room for it",
            Incomplete::Ended => "the upload ended before it had decided",
        };
        anstream::println!("  not judged        {count}  {}", styled(DIM, why));
    }
    let rules: Vec<_> = policy
        .rules
        .iter()
        .map(|(rule, count)| {
            let examples: Vec<String> = count.examples.iter().map(ToString::to_string).collect();
            vec![
                rule.clone(),
                count.uploads.to_string(),
                count.findings.to_string(),
                examples.join(" "),
            ]
        })
        .collect();
    if !rules.is_empty() {
        let heads = ["rule", "uploads", "findings", "for example"];
        anstream::print!("\n{}", screen::table(&heads, &rules));
    }
    let mut values: Vec<_> = policy
        .attributes
        .iter()
        .filter(|it| it.changed > 0)
        .collect();
    values.sort_by_key(|it| std::cmp::Reverse(it.changed));
    let values = values.iter().take(MAX_VALUES).map(|it| {
        let attribute = format!("{}={}", it.name, it.value);
        vec![attribute, share(it.changed, it.judged)]
    });
    let values: Vec<_> = values.collect();
    if !values.is_empty() {
        let heads = ["attribute", "newly refused or set apart"];
        anstream::print!("\n{}", screen::table(&heads, &values));
    }
    anstream::println!();
}

/// A number and what part of all it is.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn share(part: u64, all: u64) -> String {
    if part == 0 || all == 0 {
        return part.to_string();
    }
    format!(
        "{part} of {all} ({:.2} %)",
        part as f64 * 100.0 / all as f64
    )
}
