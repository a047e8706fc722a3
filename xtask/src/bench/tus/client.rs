//! The client of both sides: an upload by tus 1.0 over a connection that is kept.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::Table;
use crate::bench::connection::Connection;

/// The headers of every request.
const VERSION: &str = "Tus-Resumable: 1.0.0\r\n";
const BODY: &str = "Content-Type: application/offset+octet-stream\r\n";

/// An upload that was created.
pub(super) struct Upload {
    target: String,
}

impl Upload {
    /// Creates one of this table.
    pub(super) fn create(
        connection: &mut Connection,
        collection: &str,
        filename: &str,
        table: &Table,
    ) -> Result<Self> {
        let headers = creation(filename, table);
        let answer = connection.call("POST", collection, &headers, &[])?;
        ensure!(
            answer.status == 201,
            "the creation was answered {}",
            answer.status
        );
        let location = answer.location.context("nobody says where the upload is")?;
        // Some say it with their name before it.
        let target = match location.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
            None => location,
        };
        Ok(Self { target })
    }

    /// Creates one with all of its bytes.
    pub(super) fn whole(connection: &mut Connection, filename: &str, table: &Table) -> Result<()> {
        let headers = creation(filename, table) + BODY;
        let answer = connection.call("POST", "/uploads", &headers, &[&table.bytes])?;
        ensure!(
            answer.status == 201,
            "the upload was answered {}",
            answer.status
        );
        Ok(())
    }

    /// Appends bytes. Gives the status.
    pub(super) fn append(
        &self,
        connection: &mut Connection,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u16> {
        let headers = format!("{VERSION}{BODY}Upload-Offset: {offset}\r\n");
        let answer = connection.call("PATCH", &self.target, &headers, &[bytes]);
        Ok(answer?.status)
    }

    /// Begins to append so many bytes, which are written to the connection afterwards.
    pub(super) fn begin(&self, connection: &mut Connection, length: usize) -> Result<()> {
        let request = format!(
            "PATCH {} HTTP/1.1\r\nHost: bench\r\n{VERSION}{BODY}Upload-Offset: 0\r\nContent-Length: {length}\r\n\r\n",
            self.target
        );
        connection.write(request.as_bytes())
    }
}

fn creation(filename: &str, table: &Table) -> String {
    let metadata = [("filename", filename), ("table", table.name)];
    let metadata = metadata.map(|(key, value)| format!("{key} {}", BASE64.encode(value)));
    format!(
        "{VERSION}Upload-Length: {}\r\nUpload-Metadata: {}\r\n",
        table.bytes.len(),
        metadata.join(",")
    )
}
