//! `portcullis-services token`: who may upload. It works on the catalog itself, whether services run or not.

use std::io::Write;
use std::path::Path;

use anyhow::bail;
use portcullis_services::catalog::{
    Action, Actor, AuditEntry, Catalog, CatalogError, Rows, Token, TokenRow,
};
use portcullis_types::{Clock, Principal};

use super::with_catalog;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Makes a token and shows it, once.
    Add {
        /// Who it is for: a site, a person, a program.
        #[arg(long)]
        subject: String,
        /// A group that they belong to; may be repeated.
        #[arg(long = "group")]
        groups: Vec<String>,
    },
    /// Lists all tokens, without the tokens themselves.
    List,
    /// Revokes a token by its id. Uploads with it are refused from then on.
    Revoke {
        /// As `token list` shows it.
        id: String,
    },
}

pub(crate) async fn run(command: Command, catalog: &Path) -> anyhow::Result<()> {
    with_catalog(catalog, async |catalog| carry_out(command, catalog).await).await
}

async fn carry_out(command: Command, catalog: &Catalog) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let now = Clock::system().now();
    match command {
        Command::Add { subject, groups } => {
            let principal = Principal::new(&subject, groups)?;
            let token = Token::generate();
            let kept = token.clone();
            let row = catalog
                .run(move |rows: &Rows| {
                    let row = TokenRow::add(rows, &kept, &principal, now)?;
                    audit(rows, Action::TokenAdded, &row, now)?;
                    Ok::<_, CatalogError>(row)
                })
                .await?;
            writeln!(
                std::io::stderr(),
                "token {} for {subject}; it is shown only this once:",
                row.id
            )?;
            writeln!(out, "{}", token.expose())?;
        }
        Command::List => {
            for row in catalog.run(TokenRow::all).await? {
                let groups: Vec<&str> = row.principal.groups().collect();
                let state = row
                    .revoked_at
                    .map_or("good".to_owned(), |at| format!("revoked {at}"));
                let (subject, groups) = (row.principal.subject(), groups.join(","));
                writeln!(
                    out,
                    "{}\t{subject}\t{groups}\t{}\t{state}",
                    row.id, row.created_at
                )?;
            }
        }
        Command::Revoke { id } => {
            let wanted = id.clone();
            let revoked = catalog
                .run(move |rows: &Rows| {
                    let row = TokenRow::revoke(rows, &wanted, now)?;
                    if let Some(row) = &row {
                        audit(rows, Action::TokenRevoked, row, now)?;
                    }
                    Ok::<_, CatalogError>(row)
                })
                .await?;
            let Some(row) = revoked else {
                bail!("there is no token {id} that is still good; see `token list`");
            };
            writeln!(
                out,
                "token {} of {} is revoked",
                row.id,
                row.principal.subject()
            )?;
        }
    }
    Ok(())
}

fn audit(
    rows: &Rows,
    action: Action,
    row: &TokenRow,
    now: portcullis_types::Timestamp,
) -> Result<(), CatalogError> {
    let details = serde_json::json!({ "token": row.id, "principal": row.principal });
    let entry = AuditEntry::new(now, action, Actor::operator());
    entry.with(details).write(rows)
}
