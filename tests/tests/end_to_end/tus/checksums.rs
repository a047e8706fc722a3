//! Bytes with a checksum count as a whole or not at all.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_tests::LIMIT;
use portcullis_tests::gateway::{Answer, Contents, TestGateway, TusUpload, sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The header for these bytes.
fn checksum(bytes: &[u8]) -> String {
    use portcullis_types::Sha256Digest;
    let digest = Sha256Digest::of(bytes);
    format!("sha256 {}", STANDARD.encode(digest.as_bytes()))
}

async fn send(
    gateway: &TestGateway,
    upload: &TusUpload,
    from: usize,
    bytes: &str,
    checksum: &str,
) -> Result<Answer> {
    let request = upload.bytes(gateway, from as u64, bytes);
    Answer::of(request.header("upload-checksum", checksum)).await
}

#[tokio::test]
async fn bytes_with_another_checksum_are_kept_by_nobody() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let table = "patid,sex\n".repeat(120_000);
    let upload = gateway.tus_begin("patient.csv", table.len()).await?;
    let wrong = checksum(b"something else");
    let (mut offset, path) = (0, "submissions/c1/2024/patient/patient.csv");
    // Few bytes are looked at before anybody sees them; many go to the policies and to services first.
    for size in [1000, 700_000, 1000, table.len()] {
        let end = (offset + size).min(table.len());
        let piece = &table[offset..end];
        let answer = send(&gateway, &upload, offset, piece, &wrong).await?;
        answer.problem("checksum-mismatch", 460)?;
        ensure!(upload.offset(&gateway).await? == offset as u64);
        let answer = send(
            &gateway,
            &upload,
            offset,
            piece,
            &checksum(piece.as_bytes()),
        )
        .await?;
        ensure!(
            answer.status == 204 && answer.offset()? == end as u64,
            "{answer:?}"
        );
        offset = end;
    }
    ensure!(gateway.disk("local").digest(path)? == sha256([&table]));
    Ok(())
}

#[tokio::test]
async fn a_request_with_a_checksum_that_another_one_overtakes_is_told_to_come_again() -> Result<()>
{
    let gateway = TestGateway::start().await?;
    let table = "patid,sex\n".repeat(120_000);
    // Few bytes wait here until all of them are there; many are on their way to services.
    for (name, bytes) in [("few.csv", 1000), ("many.csv", 700_000)] {
        let upload = gateway.tus_begin(name, table.len()).await?;
        let request = upload.bytes(&gateway, 0, Contents::stuck(bytes));
        let request = request.header("upload-checksum", checksum(table.as_bytes()));
        let hanging = tokio::spawn(Answer::of(request));
        // Whoever asks for the offset overtakes it, as soon as it is there.
        let overtaken = async {
            while !hanging.is_finished() {
                ensure!(upload.offset(&gateway).await? == 0);
            }
            Ok(())
        };
        tokio::time::timeout(LIMIT, overtaken)
            .await
            .context("it hangs")??;
        let problem = hanging.await??.problem("fenced", 409)?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains("none of them is kept"), "{problem}");
        let all = send(&gateway, &upload, 0, &table, &checksum(table.as_bytes())).await?;
        ensure!(all.status == 204, "{all:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_of_bytes_that_were_not_sent_is_none() -> Result<()> {
    let gateway = TestGateway::start().await?;
    for length in [1000, 600_000] {
        let upload = gateway.tus_begin("patient.csv", length).await?;
        let table = "patid,sex\n".repeat(length / 10);
        let garbled = format!("\x7fELF{}", &table[4..]);
        let sum = checksum(table.as_bytes());
        let answer = send(&gateway, &upload, 0, &garbled, &sum).await?;
        answer.problem("checksum-mismatch", 460)?;
        ensure!(upload.offset(&gateway).await? == 0);
        let answer = send(&gateway, &upload, 0, &table, &sum).await?;
        ensure!(answer.status == 204, "{answer:?}");
        // And of bytes that were, it is one.
        let upload = gateway.tus_begin("patient.csv", length).await?;
        let sum = checksum(garbled.as_bytes());
        let answer = send(&gateway, &upload, 0, &garbled, &sum).await?;
        answer.problem("policy-rejected", 422)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_checksum_may_come_with_the_creation() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let body = "patid,sex\n1,F\n";
    let create = |sum: &str| {
        let create = gateway
            .tus_create("patient.csv")
            .header("upload-length", body.len());
        let create = create.header("content-type", "application/offset+octet-stream");
        Answer::of(create.header("upload-checksum", sum).body(body))
    };
    create(&checksum(b"x"))
        .await?
        .problem("checksum-mismatch", 460)?;
    create("crc32 AAAAAA==")
        .await?
        .problem("bad-request", 400)?;
    let answer = create(&checksum(body.as_bytes())).await?;
    ensure!(
        answer.status == 201 && answer.offset()? == body.len() as u64,
        "{answer:?}"
    );
    ensure!(gateway.disk("local").files()?.len() == 1);
    Ok(())
}

/// Sends chunks and then trailers, which no usual client can, and gives the head of the answer.
async fn send_with_trailer(
    gateway: &TestGateway,
    upload: &TusUpload,
    bytes: &str,
    trailer: &str,
) -> Result<String> {
    let mut connection = TcpStream::connect(gateway.web.address()).await?;
    let head = format!(
        "PATCH {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n\
         Content-Type: application/offset+octet-stream\r\nTransfer-Encoding: chunked\r\nTrailer: Upload-Checksum\r\n\r\n",
        upload.location()
    );
    connection.write_all(head.as_bytes()).await?;
    for piece in bytes.as_bytes().chunks(50_000) {
        connection
            .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
            .await?;
        connection.write_all(piece).await?;
        connection.write_all(b"\r\n").await?;
    }
    connection
        .write_all(format!("0\r\n{trailer}\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_checksum_may_come_behind_the_bytes() -> Result<()> {
    let gateway = TestGateway::start().await?;
    for length in [1000, 600_000] {
        let table = "patid,sex\n".repeat(length / 10);
        let upload = gateway.tus_begin(&format!("{length}.csv"), length).await?;
        for (trailer, status) in [
            (
                format!("Upload-Checksum: {}\r\n", checksum(b"x")),
                "460 Checksum Mismatch",
            ),
            (String::new(), "400"),
            ("Upload-Checksum: crc32 AAAAAA==\r\n".to_owned(), "400"),
            (
                format!("Upload-Checksum: {}\r\n", checksum(table.as_bytes())),
                "204",
            ),
        ] {
            ensure!(upload.offset(&gateway).await? == 0);
            let answer = send_with_trailer(&gateway, &upload, &table, &trailer).await?;
            ensure!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{trailer}: {answer}"
            );
        }
        ensure!(upload.offset(&gateway).await? == length as u64);
    }
    Ok(())
}
