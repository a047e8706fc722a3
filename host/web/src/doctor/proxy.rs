//! Whether a proxy on this machine keeps the bodies of uploads on its disk before it passes them on. nginx does so unless
//! it is told otherwise; its files have no names, so that only what is open and what is configured tell.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_server::doctor::Check;

use super::processes;

const CHECK: &str = "proxy";
/// Where nginx keeps bodies, as it is built by Debian, Red Hat, its own packages and others.
const SPOOLS: [&str; 4] = [
    "/var/lib/nginx/body",
    "/var/lib/nginx/tmp/client_body",
    "/var/cache/nginx/client_temp",
    "/var/lib/nginx/client_body_temp",
];
/// Where the configuration of nginx lies.
const MAIN: &str = "/etc/nginx/nginx.conf";
const FOLDERS: [&str; 3] = [
    "/etc/nginx/conf.d",
    "/etc/nginx/sites-enabled",
    "/etc/nginx/http.d",
];
const FIX: &str =
    "let it pass bodies on as they come, with `proxy_request_buffering off;` beside `proxy_pass`";

/// Looks at nginx before a web host that listens on this port.
pub(super) fn examine(port: u16) -> Check {
    let spooled: usize = processes().map(|process| spooled(&process)).sum();
    if spooled > 0 {
        let found =
            format!("nginx has {spooled} file(s) with bodies of uploads open on this machine");
        return Check::problem(CHECK, found, FIX);
    }
    if keeps_bodies(&configuration(), port) {
        let found =
            format!("nginx passes uploads on to port {port} only once it has them on its disk");
        return Check::problem(CHECK, found, FIX);
    }
    Check::ok(
        CHECK,
        "no proxy on this machine was found that keeps uploads",
    )
}

/// How many files in the folders of bodies a process has open, whether they have names or not.
fn spooled(process: &Path) -> usize {
    let descriptors = fs::read_dir(process.join("fd"));
    let descriptors = descriptors.into_iter().flatten().flatten();
    descriptors
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter(|file| SPOOLS.iter().any(|spool| file.starts_with(spool)))
        .count()
}

/// All of it, one file after the other.
fn configuration() -> String {
    let folders = FOLDERS
        .iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    let files = folders.flatten().map(|entry| entry.path());
    let texts = std::iter::once(PathBuf::from(MAIN))
        .chain(files)
        .map(fs::read_to_string);
    texts
        .map(Result::unwrap_or_default)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Whether something is passed on to this port, and nothing as it comes.
fn keeps_bodies(configuration: &str, port: u16) -> bool {
    let directives = configuration
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let directives = directives.collect::<Vec<_>>().join("\n");
    let mut directives = directives.split([';', '{', '}']).map(str::trim);
    let mut passes = false;
    let passes_at_once = directives.any(|directive| {
        let mut words = directive.split_whitespace();
        let (name, value) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let address = value.trim_end_matches('/');
        passes |= matches!(name, "proxy_pass" | "server") && address.ends_with(&format!(":{port}"));
        name == "proxy_request_buffering" && value == "off"
    });
    passes && !passes_at_once
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_keeps_bodies_unless_it_is_told_otherwise() {
        let usual =
            "location / { proxy_pass http://127.0.0.1:8000/; } # proxy_request_buffering off;";
        assert!(keeps_bodies(usual, 8000));
        assert!(!keeps_bodies(usual, 8001));
        assert!(!keeps_bodies("", 8000));
        let upstream = "upstream web { server 127.0.0.1:8000; }\nserver { listen 443; }";
        assert!(keeps_bodies(upstream, 8000));
        let told = format!("{upstream}\nproxy_request_buffering  off;");
        assert!(!keeps_bodies(&told, 8000));
    }
}
