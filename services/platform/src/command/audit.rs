//! `portcullis-services audit`: what happened, and whether nothing of that was changed.

mod table;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use portcullis_services::catalog::audit::{
    AuditFilter, AuditReport, SignedCheckpoint, public_key, verify,
};
use portcullis_services::catalog::{Action, Catalog, CatalogError, Rows, to_read};
use portcullis_types::{Clock, DiskName, DiskPath, PublicKey, Timestamp, UploadId};

use super::{decision, with_catalog};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Checks that no row was changed, left out or cut off. Ends with 0 when none was, and 1 otherwise.
    Verify(Verify),
    /// Shows the newest rows, oldest first: when, what, who, from where, on which file, upload and trace, and more.
    Show {
        #[command(flatten)]
        which: Which,
        /// The most rows that are shown.
        #[arg(long, default_value_t = 200)]
        limit: u32,
    },
    /// Writes all rows for other programs, oldest first.
    Export(Export),
    /// Signs for all rows so far, and prints that: to be kept on another machine, where `verify --checkpoint` finds it.
    Checkpoint,
    /// Prints the key that signatures are checked with.
    Key,
    /// Erases what rows say, for good. That there were such rows, and who erased them, stays.
    Erase {
        #[command(flatten)]
        which: Which,
        /// Why: one sentence for the audit.
        #[arg(long)]
        reason: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct Verify {
    /// A checkpoint that was kept elsewhere, in a file; may be repeated.
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// A key whose signatures count, as `audit key` prints it; may be repeated. Default: the one beside the catalog.
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<PublicKey>,
}

#[derive(clap::Args)]
pub(crate) struct Export {
    #[command(flatten)]
    which: Which,
    /// `jsonl` has every row as it is; in `csv` a text that a spreadsheet would take for a formula begins with `'`.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// The file, which must not be there yet. Default: the output of this command.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

/// Which rows are meant. All that is said must be true of a row.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// On this disk.
    #[arg(long)]
    disk: Option<DiskName>,
    /// On this file, or beneath this folder; and lists in which it was.
    #[arg(long)]
    path: Option<DiskPath>,
    /// By them, such as `site-7` or `key:internal`.
    #[arg(long)]
    subject: Option<String>,
    /// On this upload.
    #[arg(long)]
    upload: Option<UploadId>,
    /// That did this; may be repeated.
    #[arg(long = "action", value_parser = action)]
    actions: Vec<Action>,
    /// Not before this moment (RFC 3339) or day, in UTC.
    #[arg(long, value_parser = moment)]
    since: Option<Timestamp>,
    /// Before this moment (RFC 3339) or day, in UTC.
    #[arg(long, value_parser = moment)]
    until: Option<Timestamp>,
}

impl Which {
    fn filter(self) -> AuditFilter {
        AuditFilter {
            disk: self.disk,
            path: self.path,
            subject: self.subject,
            upload: self.upload,
            actions: self.actions,
            since: self.since,
            until: self.until,
        }
    }
}

fn action(word: &str) -> Result<Action, String> {
    let found = Action::ALL.iter().find(|action| action.as_str() == word);
    found.copied().ok_or_else(|| {
        let words: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        format!("there are {}", words.join(", "))
    })
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let of_day = format!("{text}T00:00:00Z");
    let moment = text.parse().or_else(|_| of_day.parse());
    moment.map_err(|_| {
        "it is no moment such as 2026-11-26T08:00:00Z and no day such as 2026-11-26".to_owned()
    })
}

pub(crate) async fn run(command: Command, catalog: &Path) -> Result<ExitCode> {
    let unusable = || format!("the catalog at {} cannot be used", catalog.display());
    match command {
        Command::Verify(arguments) => return check(&arguments, catalog),
        Command::Show { which, limit } => {
            let rows = to_read(catalog).with_context(unusable)?;
            let newest = which.filter().newest(&rows, limit).with_context(unusable)?;
            table::show(&newest, &mut std::io::stdout().lock())?;
            if newest.len() == limit as usize {
                let hint = "there may be older rows; `--limit` or `--until` shows them";
                writeln!(std::io::stderr(), "{hint}")?;
            }
        }
        Command::Export(arguments) => {
            let rows = to_read(catalog).with_context(unusable)?;
            export(arguments, &rows)?;
        }
        Command::Checkpoint => {
            let sign = async |catalog: &Catalog| Ok(catalog.checkpoint_audit().await?);
            let signed = with_catalog(catalog, sign).await?;
            let signed = signed.context("there is no row in the audit yet")?;
            write!(std::io::stdout(), "{signed}")?;
        }
        Command::Key => writeln!(std::io::stdout(), "{}", public_key(catalog)?)?,
        Command::Erase { which, reason } => erase(which.filter(), &reason, catalog).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check(arguments: &Verify, catalog: &Path) -> Result<ExitCode> {
    let mut keys = arguments.keys.clone();
    if keys.is_empty() {
        let advice = "no `--key` is given, and the one beside the catalog cannot be taken";
        keys.push(public_key(catalog).context(advice)?);
    }
    let kept = arguments.checkpoints.iter().map(|file| {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("{} cannot be read", file.display()))?;
        let signed = text.parse::<SignedCheckpoint>();
        signed.with_context(|| format!("{} cannot be used", file.display()))
    });
    let kept = kept.collect::<Result<Vec<_>>>()?;
    let report = verify(catalog, &keys, &kept)
        .with_context(|| format!("the catalog at {} cannot be read", catalog.display()))?;
    tell(&report)?;
    Ok(if report.faults == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tell(report: &AuditReport) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    let span = report.span.map_or_else(String::new, |(first, last)| {
        format!(", written from {first} to {last}")
    });
    writeln!(
        out,
        "{} row(s){span}; {} of them erased by somebody who is named; {} checkpoint(s) agree",
        report.rows, report.erased, report.checkpoints
    )?;
    if report.of_other_keys > 0 {
        writeln!(
            out,
            "{} checkpoint(s) in the catalog are signed with other keys and say nothing; `--key` lets them count",
            report.of_other_keys
        )?;
    }
    if report.faults == 0 {
        writeln!(out, "nothing was changed, left out or cut off")?;
    } else {
        writeln!(
            out,
            "{} fault(s): the audit is not what was written; keep this catalog as it is, and compare it with a backup and \
             with checkpoints that were kept elsewhere",
            report.faults
        )?;
    }
    Ok(())
}

fn export(arguments: Export, rows: &Rows) -> Result<()> {
    let Some(path) = &arguments.out else {
        let out = std::io::stdout().lock();
        return write_rows(&arguments.which.filter(), arguments.format, rows, out);
    };
    // Who did what is for the eyes of whoever exports it.
    let made = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let file = made.with_context(|| format!("{} cannot be made", path.display()))?;
    let out = BufWriter::new(&file);
    write_rows(&arguments.which.filter(), arguments.format, rows, out)?;
    file.sync_all()
        .with_context(|| format!("{} cannot be written", path.display()))
}

fn write_rows(
    filter: &AuditFilter,
    format: Format,
    rows: &Rows,
    mut out: impl Write,
) -> Result<()> {
    match format {
        Format::Jsonl => filter.each(rows, |row| {
            serde_json::to_writer(&mut out, &row)?;
            out.write_all(b"\n").map_err(anyhow::Error::from)
        })?,
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(&mut out);
            csv.write_record(table::COLUMNS)?;
            filter.each(rows, |row| {
                let record = table::record(&row).map(table::no_formula);
                csv.write_record(record).map_err(anyhow::Error::from)
            })?;
            csv.flush()?;
        }
    }
    Ok(out.flush()?)
}

async fn erase(filter: AuditFilter, reason: &str, catalog: &Path) -> Result<()> {
    ensure!(
        !filter.is_empty(),
        "say which rows, such as `--path` or `--subject`: the whole audit is never erased"
    );
    let decision = decision(reason)?;
    let now = Clock::system().now();
    let erased = with_catalog(catalog, async |catalog| {
        let erase = move |rows: &Rows| filter.erase(rows, &decision, now);
        Ok::<u64, anyhow::Error>(catalog.run::<_, CatalogError>(erase).await?)
    });
    let erased = erased.await?;
    writeln!(std::io::stdout(), "what {erased} row(s) said is erased")?;
    Ok(())
}
