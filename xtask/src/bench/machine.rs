//! What figures were measured on.

use std::fs;
use std::path::Path;

use crate::bench::table::Table;
use crate::workspace::answer;

/// Instructions that decide how fast hashing and searching can be.
const FLAGS: [&str; 5] = ["sha_ni", "avx2", "avx512f", "sse4_2", "sha2"];

/// A table of what matters for the figures.
pub(crate) fn describe(storage: &Path) -> Table {
    let mut table = Table::new("The machine", &["what", "is"]);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut row = |what: &str, is: String| table.row([what.to_owned(), is]);
    row("cores", cores.to_string());
    row("processor", processor());
    row("memory", memory());
    row("kernel", first_line("/proc/sys/kernel/osrelease"));
    row("storage", file_system(storage));
    row(
        "rustc",
        answer("rustc", &["--version"]).unwrap_or_else(unknown),
    );
    table
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |names: [&str; 2]| {
        let line = text
            .lines()
            .find(|line| names.iter().any(|name| line.starts_with(name)));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
    };
    let model = field(["model name", "Processor"]).unwrap_or_else(unknown);
    let flags = field(["flags", "Features"]).unwrap_or_default();
    let known: Vec<&str> = flags
        .split(' ')
        .filter(|flag| FLAGS.contains(flag))
        .collect();
    format!("{model} ({})", known.join(" "))
}

fn memory() -> String {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    });
    kib.map_or_else(unknown, |kib| format!("{} GiB", kib >> 20))
}

/// The type of the file system with the longest mount point above the folder, and its device.
fn file_system(storage: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mount = |line: &str| {
        let mut fields = line.split(' ');
        let (device, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
        storage.starts_with(point).then(|| {
            (
                point.len(),
                format!("{kind} on {device}{}", journal(kind, device)),
            )
        })
    };
    mounts
        .lines()
        .filter_map(mount)
        .max()
        .map_or_else(unknown, |(_, text)| text)
}

/// What is to be said of the journal. Without one ext4 looks for a new file's inode past all that were freed in the last
/// minutes (`recently_deleted` in `fs/ext4/ialloc.c`), so that figures depend on what was removed before.
fn journal(kind: &str, device: &str) -> &'static str {
    let name = device.rsplit('/').next().unwrap_or(device);
    let has_one = |journal: fs::DirEntry| {
        let journal = journal.file_name();
        journal
            .to_str()
            .and_then(|journal| journal.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('-'))
    };
    let mut journals = fs::read_dir("/proc/fs/jbd2")
        .into_iter()
        .flatten()
        .flatten();
    if kind == "ext4" && !journals.any(has_one) {
        ", without a journal"
    } else {
        ""
    }
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).ok();
    text.and_then(|text| text.lines().next().map(str::to_owned))
        .unwrap_or_else(unknown)
}

fn unknown() -> String {
    "unknown".to_owned()
}
