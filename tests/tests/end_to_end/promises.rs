//! What Portcullis promises, looked at from outside.

use std::fs;

use anyhow::{Context, Result, ensure};
use portcullis_tests::gateway::{Contents, Form, TestGateway};
use portcullis_tests::until;

/// `O_ACCMODE` of Linux: the two lowest bits tell how a file was opened, and 0 is for reading.
const ACCESS_MODE: u32 = 0o3;

#[tokio::test]
async fn the_web_host_has_no_file_open_for_writing_while_bytes_pass() -> Result<()> {
    let gateway = TestGateway::start().await?;
    let disk = gateway.disk("local");
    let contents = Contents::stuck(5 << 20);
    let form = Form::submission("patient").file("patient.csv", contents);
    let request = gateway.upload_request(form);
    let upload = tokio::spawn(async move { request.send().await });
    until("no bytes arrive", || Ok(!disk.staged()?.is_empty())).await?;

    let process = format!("/proc/{}", gateway.web.pid()?);
    let mut looked_at = 0;
    for entry in fs::read_dir(format!("{process}/fd"))? {
        let entry = entry?;
        // Descriptors come and go while they are looked at.
        let Ok(metadata) = fs::metadata(entry.path()) else {
            continue;
        };
        looked_at += 1;
        if !metadata.is_file() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let info = fs::read_to_string(format!("{process}/fdinfo/{name}"))?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.context("has flags")?.trim(), 8)?;
        // wasmtime maps a component's memory image from a memfd, which is not on any disk.
        let target = fs::read_link(entry.path())?;
        let in_memory = target.to_string_lossy().starts_with("/memfd:");
        ensure!(
            in_memory || flags & ACCESS_MODE == 0,
            "{} is open for writing",
            target.display()
        );
    }
    ensure!(looked_at > 3, "nothing was looked at");
    upload.abort();
    Ok(())
}

#[tokio::test]
async fn no_block_of_a_rejected_upload_reaches_services_after_the_one_that_was_rejected()
-> Result<()> {
    let gateway = TestGateway::start().await?;
    // The first block is a program: nothing at all may have been appended.
    let elf = [b"\x7fELF\x02\x01\x01\0".to_vec(), vec![0; 5 << 20]].concat();
    let form = Form::submission("patient").file("patient.csv", elf);
    let problem = gateway
        .upload(form)
        .await?
        .problem("policy-rejected", 422)?;
    let record = gateway.record(&problem["id"]).await?;
    ensure!(record["status"]["offset"] == 0, "{record}");
    Ok(())
}
