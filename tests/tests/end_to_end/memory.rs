//! The memory of the web host does not depend on the size of an upload.

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::stream;
use portcullis_tests::gateway::{Contents, Form, TestGateway, sha256};

const BLOCK: usize = 1 << 20;

fn blocks(count: usize) -> impl Iterator<Item = Bytes> {
    let line = Bytes::from("0123456789abcd,\n".repeat(BLOCK / 16));
    std::iter::repeat_n(line, count)
}

/// The highest resident memory of the web host after an upload of so many MiB.
async fn peak_after(mib: usize) -> Result<u64> {
    let gateway = TestGateway::start().await?;
    let contents = Contents::stream(stream::iter(blocks(mib)));
    let form = Form::submission("patient").file("big.csv", contents);
    let receipt = gateway.upload(form).await?.receipt()?;
    ensure!(receipt["size"] == mib * BLOCK, "{receipt}");
    ensure!(receipt["sha256"] == sha256(blocks(mib)), "{receipt}");
    gateway.web.peak_memory_bytes()
}

#[tokio::test]
async fn an_upload_of_1_gib_takes_no_more_memory_than_one_of_10_mib() -> Result<()> {
    let small = peak_after(10).await?;
    let large = peak_after(1024).await?;
    let more_mb = large.saturating_sub(small) / 1_000_000;
    ensure!(
        more_mb <= 32,
        "{more_mb} MB more: {small} and {large} bytes"
    );
    Ok(())
}
