//! One file sent in parts side by side: held without having been judged, judged in their order, stored as one.

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Answer, Setup, TestGateway, TusUpload, sha256};
use portcullis_tests::until;
use reqwest::{Method, RequestBuilder};

const PATH: &str = "submissions/c1/2024/patient/patient.csv";

async fn gateway() -> Result<TestGateway> {
    Setup::default()
        .web_config("concatenation = true\n")
        .start()
        .await
}

async fn part(gateway: &TestGateway, length: usize) -> Result<TusUpload> {
    let create = gateway.tus(Method::POST, "/uploads");
    let create = create.header("upload-concat", "partial");
    TusUpload::of(&Answer::of(create.header("upload-length", length)).await?)
}

fn whole(gateway: &TestGateway, parts: &[&TusUpload]) -> RequestBuilder {
    let addresses: Vec<&str> = parts.iter().map(|part| part.location()).collect();
    let concat = format!("final;{}", addresses.join(" "));
    gateway
        .tus_create("patient.csv")
        .header("upload-concat", concat)
}

#[tokio::test]
async fn parts_become_one_file_in_the_order_of_the_whole() -> Result<()> {
    let gateway = gateway().await?;
    let table = "patid,sex\n".repeat(100_000);
    let (first, second) = table.split_at(400_001);
    let parts = [
        part(&gateway, first.len()).await?,
        part(&gateway, second.len()).await?,
    ];
    // The second one first, and in pieces.
    ensure!(parts[1].sent(&gateway, 0, &second[..7]).await? == 7);
    ensure!(parts[1].sent(&gateway, 7, &second[7..]).await? == second.len() as u64);
    ensure!(parts[0].sent(&gateway, 0, first).await? == first.len() as u64);
    let head = parts[0].head(&gateway).await?;
    ensure!(head.header("upload-concat") == Some("partial"), "{head:?}");
    ensure!(head.offset()? == first.len() as u64, "{head:?}");
    ensure!(gateway.disk("local").files()?.is_empty());
    let stored = Answer::of(whole(&gateway, &[&parts[0], &parts[1]])).await?;
    let upload = TusUpload::of(&stored)?;
    ensure!(gateway.disk("local").digest(PATH)? == sha256([&table]));
    let head = upload.head(&gateway).await?;
    ensure!(head.offset()? == table.len() as u64, "{head:?}");
    let concat = head.header("upload-concat").context("no parts")?;
    ensure!(concat == format!("final;{} {}", parts[0].location(), parts[1].location()));
    // Its answer got lost: the same upload, stored once.
    let again = Answer::of(whole(&gateway, &[&parts[0], &parts[1]])).await?;
    ensure!(TusUpload::of(&again)?.location() == upload.location());
    ensure!(upload.record(&gateway).await?["receipt"]["version"] == 1);
    ensure!(parts[0].head(&gateway).await?.status == 410);
    Ok(())
}

#[tokio::test]
async fn a_whole_is_judged_in_order_and_a_refusal_stays_one() -> Result<()> {
    let gateway = gateway().await?;
    let elf = super::elf();
    let parts = [part(&gateway, 10).await?, part(&gateway, elf.len()).await?];
    parts[0].sent(&gateway, 0, "patid,sex\n").await?;
    // A part by itself is not judged.
    parts[1].sent(&gateway, 0, elf).await?;
    let wrong = Answer::of(whole(&gateway, &[&parts[1], &parts[0]])).await?;
    let problem = wrong.problem("policy-rejected", 422)?;
    ensure!(problem["policy"] == "file-type", "{problem}");
    let again = Answer::of(whole(&gateway, &[&parts[1], &parts[0]])).await?;
    ensure!(again.problem("policy-rejected", 422)?["detail"] == problem["detail"]);
    ensure!(gateway.disk("local").files()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_whole_waits_for_parts_that_are_on_their_way() -> Result<()> {
    let gateway = gateway().await?;
    let parts = [part(&gateway, 10).await?, part(&gateway, 4).await?];
    parts[0].sent(&gateway, 0, "patid,sex\n").await?;
    let waiting = tokio::spawn(Answer::of(whole(&gateway, &[&parts[0], &parts[1]])));
    ensure!(parts[1].sent(&gateway, 0, "1,").await? == 2);
    ensure!(parts[1].sent(&gateway, 2, "F\n").await? == 4);
    let answer = tokio::time::timeout(portcullis_tests::LIMIT, waiting).await??;
    let upload = TusUpload::of(&answer?)?;
    ensure!(upload.record(&gateway).await?["state"] == "committed");
    ensure!(gateway.disk("local").digest(PATH)? == sha256(["patid,sex\n1,F\n"]));
    Ok(())
}

#[tokio::test]
async fn requests_for_the_same_whole_get_one_result_however_many_give_up() -> Result<()> {
    let gateway = gateway().await?;
    let parts = [part(&gateway, 10).await?, part(&gateway, 4).await?];
    parts[0].sent(&gateway, 0, "patid,sex\n").await?;
    let ask = || tokio::spawn(Answer::of(whole(&gateway, &[&parts[0], &parts[1]])));
    // Clients that time out and ask again: each of them gave an upload up, and with the ninth it was gone.
    for _ in 0..12 {
        let asked = ask();
        // It is on the way to the web host, or there: wherever it is given up, nothing is lost.
        parts[1].head(&gateway).await?;
        asked.abort();
    }
    let asked = [ask(), ask(), ask()];
    ensure!(parts[1].sent(&gateway, 0, "1,F\n").await? == 4);
    let mut locations = Vec::new();
    for asked in asked {
        let answer = tokio::time::timeout(portcullis_tests::LIMIT, asked).await??;
        locations.push(TusUpload::of(&answer?)?.location().to_owned());
    }
    locations.dedup();
    ensure!(locations.len() == 1, "{locations:?}");
    let last = TusUpload::of(&Answer::of(whole(&gateway, &[&parts[0], &parts[1]])).await?)?;
    let record = last.record(&gateway).await?;
    ensure!(record["receipt"]["version"] == 1, "{record}");
    ensure!(gateway.disk("local").digest(PATH)? == sha256(["patid,sex\n1,F\n"]));
    Ok(())
}

#[tokio::test]
async fn a_whole_that_was_asked_for_is_put_together_though_its_client_is_gone() -> Result<()> {
    let gateway = gateway().await?;
    let parts = [part(&gateway, 10).await?, part(&gateway, 4).await?];
    parts[0].sent(&gateway, 0, "patid,sex\n").await?;
    let asked = tokio::spawn(Answer::of(whole(&gateway, &[&parts[0], &parts[1]])));
    // The first part is there twice: by itself, and in what is put together.
    let disk = gateway.disk("local");
    until("the work begins", || Ok(disk.staged_bytes()? == 20)).await?;
    asked.abort();
    ensure!(parts[1].sent(&gateway, 0, "1,F\n").await? == 4);
    until("it is stored", || Ok(disk.files()?.len() == 1)).await?;
    ensure!(disk.digest(PATH)? == sha256(["patid,sex\n1,F\n"]));
    Ok(())
}

#[tokio::test]
async fn parts_survive_kills_and_are_nothing_by_themselves() -> Result<()> {
    let mut gateway = gateway().await?;
    let held = part(&gateway, 14).await?;
    ensure!(held.sent(&gateway, 0, "patid,").await? == 6);
    gateway.web.kill().await?;
    gateway.web.start_again().await?;
    ensure!(held.offset(&gateway).await? == 6);
    gateway.services.kill().await?;
    gateway.services.start_again().await?;
    held.send(&gateway, 0, "x")
        .await?
        .problem("offset-mismatch", 409)?;
    held.send(&gateway, 6, "sex\n1,F\nand more")
        .await?
        .problem("too-large", 413)?;
    ensure!(held.sent(&gateway, 6, "sex\n1,F\n").await? == 14);
    ensure!(held.record(&gateway).await?["state"] == "held");
    ensure!(gateway.disk("local").files()?.is_empty());
    for (concat, slug, status) in [
        ("final;", "bad-request", 400),
        (
            "final;/uploads/00000000000000000000000000000000",
            "not-found",
            404,
        ),
        ("both", "bad-request", 400),
    ] {
        let create = gateway
            .tus_create("patient.csv")
            .header("upload-concat", concat);
        Answer::of(create).await?.problem(slug, status)?;
    }
    // An upload by itself is no part.
    let alone = gateway.tus_begin("alone.csv", 4).await?;
    Answer::of(whole(&gateway, &[&held, &alone]))
        .await?
        .problem("bad-request", 400)?;
    TusUpload::of(&Answer::of(whole(&gateway, &[&held])).await?)?;
    ensure!(gateway.disk("local").digest(PATH)? == sha256(["patid,sex\n1,F\n"]));
    Ok(())
}

#[tokio::test]
async fn parts_are_not_taken_unless_the_operator_says_so() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let create = gateway.tus(Method::POST, "/uploads");
    let create = create
        .header("upload-concat", "partial")
        .header("upload-length", 1);
    Answer::of(create).await?.problem("bad-request", 400)?;
    let options = Answer::of(gateway.web_request(Method::OPTIONS, "/uploads")).await?;
    let extensions = options.header("tus-extension").context("none")?;
    ensure!(!extensions.contains("concatenation"), "{extensions}");
    Ok(())
}

#[tokio::test]
async fn a_part_that_comes_with_its_creation_has_the_checksum_that_was_sent_with_it() -> Result<()>
{
    let gateway = gateway().await?;
    let create = |checksum: &str| {
        let create = gateway.tus(Method::POST, "/uploads");
        let create = create.header("upload-concat", "partial");
        let create = create.header("upload-length", "hello world".len());
        let create = create.header("content-type", "application/offset+octet-stream");
        Answer::of(
            create
                .header("upload-checksum", checksum)
                .body("hello world"),
        )
    };
    let wrong = "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    create(wrong).await?.problem("checksum-mismatch", 460)?;
    // The example of the protocol.
    let right = create("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=").await?;
    ensure!(TusUpload::of(&right)?.offset(&gateway).await? == 11);
    Ok(())
}
