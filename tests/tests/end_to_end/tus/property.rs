//! However an upload is cut, whatever is killed, reloaded and evicted meanwhile: it hears what one straight upload hears.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use portcullis_generator::{Csv, Definition};
use portcullis_tests::gateway::{
    Answer, Contents, Policies, Setup, TestGateway, TusUpload, component, sha256, tus_metadata,
};
use portcullis_tests::{LIMIT, sample_seed, soaks};
use portcullis_types::Sha256Digest;
use reqwest::Method;
use serde_json::Value;

/// How many uploads are tried in a soak, and how many of them in every run.
const RUNS: u64 = 1_000;
const SAMPLE: u64 = 20;
/// After so many requests an upload must have come to its end.
const MOST_REQUESTS: usize = 400;
/// The data definitions of which tables are made.
const TABLES: [&str; 4] = ["patient", "mortality", "insurance", "diagnosis"];

/// Numbers that follow from a seed (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
struct Chance(u64);

impl Chance {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.number() % limit.max(1) as u64).unwrap_or(0)
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// The set that ships, in one of two ways that judge alike and are two revisions.
fn policies(variant: bool) -> Policies {
    let (file_type, csv, route) = (
        component("file-type"),
        component("csv-schema"),
        component("route-by-attributes"),
    );
    let milliseconds = if variant { 900 } else { 1000 };
    Policies::Set(format!(
        "[[policy]]\nname = 'file-type'\ncomponent = '{}'\nsettings = {{ allow = ['csv', 'tsv'] }}\n\
         [[policy]]\nname = 'csv-schema'\ncomponent = '{}'\nlimits = {{ call-time-ms = {milliseconds} }}\n\
         [[policy]]\nname = 'route'\ncomponent = '{}'\ndisks = ['local']\n\
         settings = {{ template = '{{upload_id}}/{{filename}}', ignore = ['cohort', 'protocol_year', 'table'] }}\n",
        file_type.display(),
        csv.display(),
        route.display()
    ))
}

/// One upload of which it is known what it has to hear.
struct Trial {
    file: Vec<u8>,
    table: &'static str,
    expected: Heard,
}

/// What an upload hears in the end.
#[derive(Debug, PartialEq)]
enum Heard {
    Stored {
        sha256: Value,
        findings: Value,
        tallies: Value,
        policies: Value,
    },
    Refused {
        detail: Value,
        findings: Value,
        tallies: Value,
        policies: Value,
    },
}

impl Heard {
    fn stored(receipt: &Value) -> Self {
        let member = |name: &str| receipt[name].clone();
        Self::Stored {
            sha256: member("sha256"),
            findings: member("findings"),
            tallies: member("tallies"),
            policies: member("policies"),
        }
    }

    fn refused(problem: &Value) -> Self {
        let member = |name: &str| problem[name].clone();
        Self::Refused {
            detail: member("detail"),
            findings: member("findings"),
            tallies: member("tallies"),
            policies: member("policies"),
        }
    }
}

impl Trial {
    /// Makes a file, and sends it in one piece.
    async fn new(gateway: &TestGateway, chance: &mut Chance) -> Result<Self> {
        let table = TABLES[chance.below(TABLES.len())];
        let csv = Csv::of(&Definition::shipped(table)?);
        let mut csv = csv.rows(1 + chance.below(60) as u64).seed(chance.number());
        if chance.once_in(3) {
            csv = csv.plant_some(chance.number());
        }
        if chance.once_in(4) {
            csv = csv.quoted().bom();
        }
        let mut file = csv.whole();
        if chance.once_in(10) {
            // Something that no table has.
            let place = chance.below(file.len());
            file[place] = 0;
        }
        let query = format!("cohort=c1&protocol_year=2024&table={table}");
        let answer = gateway.upload_raw(&query, "a.csv", file.clone()).await?;
        let expected = match answer.status {
            201 => Heard::stored(&answer.receipt()?),
            422 => Heard::refused(&answer.json()?),
            _ => anyhow::bail!("the straight upload failed: {answer:?}"),
        };
        Ok(Self {
            file,
            table,
            expected,
        })
    }

    fn create(&self, gateway: &TestGateway) -> reqwest::RequestBuilder {
        let metadata = tus_metadata(&[
            ("filename", "a.csv"),
            ("filetype", "text/csv"),
            ("cohort", "c1"),
            ("protocol_year", "2024"),
            ("table", self.table),
        ]);
        let create = gateway.tus(Method::POST, "/uploads");
        let create = create.header("upload-metadata", metadata);
        create.header("upload-length", self.file.len())
    }

    /// Sends it as chance has it, and gives what it heard in the end.
    async fn drive(
        &self,
        gateway: &mut TestGateway,
        chance: &mut Chance,
        variant: &mut bool,
    ) -> Result<Heard> {
        let upload = TusUpload::of(&Answer::of(self.create(gateway)).await?)?;
        let mut offset = Some(0);
        for _ in 0..MOST_REQUESTS {
            disturb(gateway, chance, variant).await?;
            let Some(from) = offset else {
                offset = ask(gateway, &upload).await?;
                if offset == Some(self.file.len()) {
                    return finally(gateway, &upload).await;
                }
                continue;
            };
            // Cut off, by us or by what was killed.
            let Ok(answer) = self.send(gateway, &upload, from, chance).await else {
                offset = None;
                continue;
            };
            offset = match answer.status {
                204 if answer.offset()? == self.file.len() as u64 => {
                    return finally(gateway, &upload).await;
                }
                204 => Some(usize::try_from(answer.offset()?)?),
                422 if answer.problem("policy-rejected", 422).is_ok() => {
                    return Ok(Heard::refused(&answer.json()?));
                }
                409 | 460 | 503 | 504 => None,
                _ => anyhow::bail!("unexpected: {answer:?}"),
            };
        }
        anyhow::bail!("it does not come to its end")
    }

    /// One request with bytes, which may be cut off, or lie about its checksum.
    async fn send(
        &self,
        gateway: &TestGateway,
        upload: &TusUpload,
        from: usize,
        chance: &mut Chance,
    ) -> Result<Answer> {
        let rest = &self.file[from..];
        let size = match chance.below(4) {
            0 => rest.len(),
            1 => 1 + chance.below(3),
            _ => 1 + chance.below(rest.len()),
        };
        let piece = &rest[..size.min(rest.len())];
        let request = upload.bytes(gateway, from as u64, "");
        if chance.once_in(8) {
            // The client dies within its body.
            let sent = Bytes::copy_from_slice(&piece[..chance.below(piece.len())]);
            let body = Contents::stream(stream::iter([sent]).chain(stream::pending()));
            let request = upload.bytes(gateway, from as u64, body);
            let dies =
                tokio::time::timeout(Duration::from_millis(chance.number() % 8), request.send());
            let _ = dies.await;
            anyhow::bail!("the client died");
        }
        let request = if chance.once_in(4) {
            let is_right = !chance.once_in(3);
            let digest = Sha256Digest::of(if is_right { piece } else { b"something else" });
            let digest = base64::Engine::encode(
                &base64::engine::general_purpose::STANDARD,
                digest.as_bytes(),
            );
            request.header("upload-checksum", format!("sha256 {digest}"))
        } else {
            request
        };
        Answer::of(request.body(piece.to_vec())).await
    }
}

/// How far an upload has come, if that is told.
async fn ask(gateway: &TestGateway, upload: &TusUpload) -> Result<Option<usize>> {
    let Ok(head) = upload.head(gateway).await else {
        return Ok(None);
    };
    match head.status {
        200 => Ok(Some(usize::try_from(head.offset()?)?)),
        423 => Ok(None),
        _ => anyhow::bail!("unexpected: {head:?}"),
    }
}

/// What its record says.
async fn finally(gateway: &TestGateway, upload: &TusUpload) -> Result<Heard> {
    let record = upload.record(gateway).await?;
    ensure!(record["state"] == "committed", "{record}");
    Ok(Heard::stored(&record["receipt"]))
}

/// Now and then something is killed, reloaded, or makes room.
async fn disturb(gateway: &mut TestGateway, chance: &mut Chance, variant: &mut bool) -> Result<()> {
    if chance.once_in(120) {
        gateway.web.kill().await?;
        gateway.web.start_again().await?;
    }
    if chance.once_in(150) {
        gateway.services.kill().await?;
        gateway.services.start_again().await?;
    }
    if chance.once_in(100) {
        let before = gateway.ready().await?["revision"].clone();
        *variant = !*variant;
        gateway.write_policies(&policies(*variant))?;
        let reloaded = gateway.until_ready("no reload", |ready| ready["revision"] != before);
        reloaded.await?;
    }
    if chance.once_in(5) {
        // There is room for one: whoever was there has to go.
        let decoy = gateway.tus_create("decoy.csv").header("upload-length", 10);
        let _ = Answer::of(decoy).await;
    }
    Ok(())
}

/// One seed, or `FIRST..END`, as `TUS_SEED` says; otherwise a sample, or all of them.
fn seeds() -> Result<Range<u64>> {
    let Ok(told) = std::env::var("TUS_SEED") else {
        if soaks() {
            return Ok(0..RUNS);
        }
        let first = sample_seed().wrapping_mul(SAMPLE) % RUNS;
        return Ok(first..first + SAMPLE);
    };
    if let Some((first, end)) = told.split_once("..") {
        return Ok(first.parse()?..end.parse()?);
    }
    let seed = told.parse()?;
    Ok(seed..seed + 1)
}

#[tokio::test]
async fn an_upload_hears_what_one_straight_upload_hears() -> Result<()> {
    let seeds = seeds()?;
    let mut gateway = Setup::default()
        .policies(policies(false))
        .web_config("[limits]\nuploads = 1\n")
        .start()
        .await?;
    let mut variant = false;
    for seed in seeds {
        let mut chance = Chance(seed);
        let run = async {
            let trial = Trial::new(&gateway, &mut chance).await?;
            let heard = trial.drive(&mut gateway, &mut chance, &mut variant).await?;
            ensure!(
                heard == trial.expected,
                "{heard:#?} instead of {:#?}",
                trial.expected
            );
            if let Heard::Stored { sha256: stored, .. } = &heard {
                ensure!(*stored == sha256([&trial.file]));
            }
            Ok(())
        };
        let run = tokio::time::timeout(LIMIT, run).await.context("it hangs");
        run.and_then(|run| run)
            .with_context(|| format!("TUS_SEED={seed} shows it again"))?;
    }
    Ok(())
}
