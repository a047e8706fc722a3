//! `cargo xtask sample`: a table to try things with.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use portcullis_generator::{Csv, Definition, LineEnd};

use crate::workspace::{Workspace, say};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The data definition: a file, or the name of one in policies/definitions/.
    #[arg(long)]
    definition: String,
    /// Rows after the header.
    #[arg(long, default_value_t = 1_000)]
    rows: u64,
    /// Plants errors of every kind, at places that follow from this number, and says where.
    #[arg(long, value_name = "SEED")]
    errors: Option<u64>,
    /// Another number, other data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Tabs instead of commas.
    #[arg(long)]
    tsv: bool,
    /// CR LF and a byte order mark, as Excel writes them.
    #[arg(long)]
    excel: bool,
    /// Separators, quotes and line breaks within texts.
    #[arg(long)]
    quoted: bool,
    /// Where the table goes; standard output unless given.
    #[arg(long)]
    output: Option<PathBuf>,
}

pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    ensure!(
        arguments.errors.is_none() || arguments.rows >= 3,
        "--errors needs --rows of 3 or more: nothing is planted in the first row"
    );
    let csv = csv(workspace, arguments)?;
    match &arguments.output {
        Some(path) => {
            let file = File::create(path).with_context(|| path.display().to_string())?;
            write(&csv, file)?;
        }
        None => write(&csv, std::io::stdout())?,
    }
    if arguments.errors.is_some() {
        let planted = csv.expected();
        say(format!("{} errors are planted:", planted.len()));
        for expected in planted {
            let column = expected.column.as_deref().unwrap_or("(whole row)");
            say(format!("row {}, {column}: {}", expected.row, expected.rule));
        }
    }
    Ok(())
}

fn csv(workspace: &Workspace, arguments: &Arguments) -> Result<Csv> {
    let named = &arguments.definition;
    let shipped = workspace
        .root
        .join(format!("policies/definitions/{named}.json"));
    let path = if shipped.is_file() {
        shipped
    } else {
        PathBuf::from(named)
    };
    let definition = Definition::read(&path)
        .with_context(|| format!("`{named}` is no definition that can be used"))?;
    let mut csv = Csv::of(&definition)
        .rows(arguments.rows)
        .seed(arguments.seed);
    if arguments.tsv {
        csv = csv.tabs();
    }
    if arguments.excel {
        csv = csv.bom().line_end(LineEnd::CrLf);
    }
    if arguments.quoted {
        csv = csv.quoted();
    }
    if let Some(seed) = arguments.errors {
        csv = csv.plant_some(seed);
    }
    Ok(csv)
}

fn write(csv: &Csv, into: impl Write) -> Result<()> {
    let mut into = BufWriter::new(into);
    for block in csv.blocks() {
        match into.write_all(&block) {
            // Whoever reads has enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(into.flush()?)
}
