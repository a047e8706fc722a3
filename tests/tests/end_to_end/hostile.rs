//! Policies that do damage cost their own upload and nothing else.

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use portcullis_tests::gateway::{Form, Policies, Setup, guest};

/// What the hostile policies do, each to the uploads that name it.
const DEEDS: [&str; 6] = [
    "loop",
    "memory-bomb",
    "deep-recursion",
    "panic",
    "trap",
    "oversized-return",
];
const INNOCENT: usize = 58;

#[tokio::test]
async fn uploads_beside_hostile_policies_are_stored_and_theirs_are_refused_by_name() -> Result<()> {
    let hostile = guest("hostile");
    let mut policies = Policies::one("count", &hostile, "{ do = 'count' }", "");
    for deed in DEEDS {
        let settings = format!("{{ do = '{deed}', when = 'chunk' }}");
        let more = format!("match = {{ hostile = '{deed}' }}\nlimits = {{ call-time-ms = 300 }}");
        policies = policies.and(&format!("does-{deed}"), &hostile, &settings, &more);
    }
    let gateway = Setup::default().policies(policies).start().await?;
    let body = "patid,sex\n".repeat(50_000);
    let innocent = (0..INNOCENT).map(|nth| {
        let form = Form::default().file(&format!("innocent-{nth}.csv"), body.as_str());
        gateway.upload(form)
    });
    let guilty = DEEDS.map(|deed| {
        let form = Form::default()
            .field("hostile", deed)
            .file(&format!("{deed}.csv"), body.as_str());
        gateway.upload(form)
    });
    let (innocent, guilty) = tokio::join!(join_all(innocent), join_all(guilty));
    for answer in innocent {
        let receipt = answer?.receipt()?;
        ensure!(receipt["size"] == body.len(), "{receipt}");
    }
    for (answer, deed) in guilty.into_iter().zip(DEEDS) {
        let problem = answer?.problem("policy-failed", 422)?;
        ensure!(problem["policy"] == format!("does-{deed}"), "{problem}");
    }
    ensure!(gateway.disk("local").files()?.len() == INNOCENT);
    // Nothing of them stays behind: the next upload is judged like the first.
    let form = Form::default().file("after.csv", body.as_str());
    gateway.upload(form).await?.receipt()?;
    Ok(())
}
