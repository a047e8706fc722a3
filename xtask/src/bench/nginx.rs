//! The yardstick: nginx in front of nginx. The first passes the body on while it comes, the second stores
//! it (DAV PUT). Neither hashes, judges or waits for the disk.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::bench::server::{Server, connectable, free_address};

/// Two instances with a worker each, stopped when dropped.
pub(crate) struct Nginx {
    program: &'static str,
    configurations: [PathBuf; 2],
    pub(crate) front: SocketAddr,
    /// The second alone.
    pub(crate) back: SocketAddr,
    /// Where uploads come to lie.
    pub(crate) disk: PathBuf,
    // Stopped before these are dropped: killing a master would leave its worker behind.
    _servers: [Server; 2],
}

impl Nginx {
    /// Starts both, with everything they keep beneath `folder`.
    pub(crate) fn start(program: &'static str, folder: &Path) -> Result<Self> {
        let disk = folder.join("disk");
        let (front, back) = (free_address()?, free_address()?);
        fs::create_dir_all(&disk)?;
        // Started by root, nginx would give its worker another user, who may not write here.
        let user = if fs::metadata(&disk)?.uid() == 0 {
            "user root;"
        } else {
            ""
        };
        let store = format!(
            "listen {back}; location / {{ root {root}; dav_methods PUT; create_full_put_path on; \
             client_body_temp_path {root}/.incoming; client_body_buffer_size 256k; }}",
            root = disk.display()
        );
        let pass = format!(
            "listen {front}; location / {{ proxy_pass http://{back}; proxy_http_version 1.1; \
             proxy_request_buffering off; proxy_buffering off; client_body_buffer_size 256k; }}"
        );
        let back_folder = folder.join("back");
        let front_folder = folder.join("front");
        let configurations = [
            write(&back_folder, user, &store)?,
            write(&front_folder, user, &pass)?,
        ];
        let start =
            |at: usize, address| connectable(&mut command(program, &configurations[at]), address);
        let servers = [start(0, back)?, start(1, front)?];
        Ok(Self {
            program,
            configurations,
            front,
            back,
            disk,
            _servers: servers,
        })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        for configuration in &self.configurations {
            // If it has ended by itself there is nothing to stop.
            let _ = command(self.program, configuration)
                .args(["-s", "stop"])
                .status();
        }
    }
}

fn command(program: &str, configuration: &Path) -> Command {
    let mut command = Command::new(program);
    let prefix = configuration.parent().unwrap_or(Path::new("."));
    command
        .arg("-p")
        .arg(prefix)
        .arg("-c")
        .arg(configuration)
        .args(["-e", "error.log"]);
    command
}

/// A whole configuration around one server.
fn write(folder: &Path, user: &str, server: &str) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let modules = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = modules
        .map(|module| format!("{module}_temp_path {}/{module};", folder.display()))
        .concat();
    let text = format!(
        "daemon off; worker_processes 1; {user} pid {folder}/nginx.pid; error_log error.log warn;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; client_max_body_size 0; {temporary}\nserver {{ {server} }} }}\n",
        folder = folder.display(),
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}
