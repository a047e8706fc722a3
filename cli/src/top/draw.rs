//! What is seen: uploads and bytes, what policies say, the calls between the servers, and the disks.

use std::collections::VecDeque;
use std::time::Duration;

use portcullis_telemetry::{By, Direction, Label, Labels, Metric, Outcome, Step};
use portcullis_types::Verdict;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Paragraph, Row, Sparkline, Table};

use super::change::Change;
use super::watch::{Away, Server, Servers};
use crate::screen;

const ENDINGS: [(Outcome, &str); 6] = [
    (Outcome::Stored, "stored"),
    (Outcome::Quarantined, "quarantined"),
    (Outcome::Rejected, "rejected"),
    (Outcome::Failed, "failed"),
    (Outcome::Cancelled, "cancelled"),
    (Outcome::Expired, "expired"),
];
const STEPS: [(Step, &str); 4] = [
    (Step::StageWrite, "stage write"),
    (Step::Fsync, "fsync"),
    (Step::Publish, "publish"),
    (Step::Catalog, "catalog"),
];

/// Rows beside the rows of a table: two borders and its heads.
const AROUND: usize = 3;

/// Draws everything.
pub(super) fn all(frame: &mut Frame<'_>, servers: &Servers, every: Duration) {
    let [head, uploads, policies, hop, storage] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(rows(ENDINGS.len())),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(rows(STEPS.len())),
    ])
    .areas(frame.area());
    self::head(frame, head, servers, every);
    let [endings, curves] =
        Layout::horizontal([Constraint::Length(38), Constraint::Fill(1)]).areas(uploads);
    match servers.web.change() {
        Ok(change) => {
            self::endings(frame, endings, &change);
            self::curves(frame, curves, servers, &change);
            self::policies(frame, policies, &change);
            self::hop(frame, hop, &change);
        }
        Err(away) => {
            let titles = [
                (endings, "Uploads"),
                (curves, "Bytes"),
                (policies, "Verdicts"),
                (hop, "Hop"),
            ];
            for (area, title) in titles {
                self::away(frame, area, title, "the web host", &servers.web, away);
            }
        }
    }
    match servers.services.change() {
        Ok(change) => {
            let halves = [Constraint::Length(50), Constraint::Fill(1)];
            let [steps, disks] = Layout::horizontal(halves).areas(storage);
            self::steps(frame, steps, &change);
            self::disks(frame, disks, &change);
        }
        Err(away) => self::away(frame, storage, "Disk", "services", &servers.services, away),
    }
}

fn head(frame: &mut Frame<'_>, area: Rect, servers: &Servers, every: Duration) {
    let words = format!(
        "  web host {}, services {}, every {} s",
        servers.web.address,
        servers.services.address,
        every.as_secs()
    );
    let line = Line::from(vec!["portcullis top".bold(), words.dim()]);
    frame.render_widget(line, area);
    frame.render_widget(Line::from("q ends it ".dim()).right_aligned(), area);
}

/// One sentence in the place of what is not known.
fn away(frame: &mut Frame<'_>, area: Rect, title: &str, who: &str, server: &Server, away: Away) {
    let address = &server.address;
    let said = match away {
        Away::NotYet => Line::from("…".dim()),
        Away::Silent => Line::from(format!(
            "Nobody answers at {address}; is {who} running, with `metrics-listen = \"{address}\"` in its file?"
        ))
        .red(),
        Away::Other => Line::from(format!(
            "What answers at {address} is not {who}; give the address that stands under `metrics-listen` in its file."
        ))
        .red(),
    };
    let said = Paragraph::new(said).wrap(ratatui::widgets::Wrap { trim: true });
    frame.render_widget(said.block(Block::bordered().title(title.bold())), area);
}

fn endings(frame: &mut Frame<'_>, area: Rect, change: &Change<'_>) {
    let open = change.value(Metric::UploadsOpen, &Labels::default());
    let row = |(outcome, word): (Outcome, &'static str)| {
        let labels = Label::Outcome(outcome).into();
        let total = change.value(Metric::Uploads, &labels);
        let style = match outcome {
            Outcome::Stored => Style::new().fg(Color::Green),
            Outcome::Rejected | Outcome::Failed if total > 0.0 => Style::new().fg(Color::Red),
            Outcome::Quarantined if total > 0.0 => Style::new().fg(Color::Yellow),
            _ => Style::new(),
        };
        let cells = [
            word.to_owned(),
            count(total),
            per_second(change.rate(Metric::Uploads, &labels)),
        ];
        row(cells).style(style)
    };
    let widths = [
        Constraint::Length(12),
        Constraint::Length(10),
        Constraint::Fill(1),
    ];
    let title = format!("Uploads: {} open", count(open));
    table(
        frame,
        area,
        title,
        ["ended", "all", "per second"],
        widths,
        ENDINGS.map(row).into(),
    );
}

/// Bytes on their way as a number each, and the two curves.
fn curves(frame: &mut Frame<'_>, area: Rect, servers: &Servers, change: &Change<'_>) {
    let bytes =
        |direction: Direction| change.rate(Metric::Bytes, &Label::Direction(direction).into());
    let block = Block::bordered().title("Bytes".bold());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [numbers, uploads, received] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ])
    .areas(inner);
    let any = Labels::default();
    let lines = [
        format!(
            "from clients   {}",
            bytes_per_second(bytes(Direction::Received))
        ),
        format!(
            "to services    {}",
            bytes_per_second(bytes(Direction::Forwarded))
        ),
        format!(
            "{} instances of policies, {} of their memory free",
            count(change.value(Metric::PolicyInstances, &any)),
            screen::bytes(whole(change.value(Metric::PolicyMemoryFree, &any)))
        ),
    ];
    frame.render_widget(Text::from_iter(lines), numbers);
    curve(frame, uploads, "uploads", &servers.uploads);
    curve(frame, received, "bytes", &servers.received);
}

fn curve(frame: &mut Frame<'_>, area: Rect, what: &str, values: &VecDeque<f64>) {
    let [word, area] = Layout::horizontal([Constraint::Length(9), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Span::from(what.to_owned()).dim(), word);
    let most = usize::from(area.width);
    let newest = values.iter().skip(values.len().saturating_sub(most));
    // Whole numbers are drawn: of what is seldom, a thousandth is one.
    let heights: Vec<u64> = newest.map(|value| whole(value * 1_000.0)).collect();
    frame.render_widget(Sparkline::default().data(heights).cyan(), area);
}

fn policies(frame: &mut Frame<'_>, area: Rect, change: &Change<'_>) {
    let open_breakers = |labels: &Labels| change.value(Metric::PolicyBreaker, labels) > 0.0;
    let rows = change
        .list(Metric::PolicyVerdicts, By::Policy)
        .into_iter()
        .map(|labels| {
            let said = |verdict| {
                count(change.value(
                    Metric::PolicyVerdicts,
                    &labels.clone().and(Label::Verdict(verdict)),
                ))
            };
            let [median, high] = quantiles(change, Metric::PolicyTime, &labels);
            let name = labels.values().next().unwrap_or_default().to_owned();
            let cells = [
                if open_breakers(&labels) {
                    format!("{name} (not asked)")
                } else {
                    name
                },
                said(Verdict::Accept),
                said(Verdict::Quarantine),
                said(Verdict::Reject),
                said(Verdict::Failed),
                per_second(change.rate(Metric::PolicyVerdicts, &labels)),
                median,
                high,
            ];
            let style = if open_breakers(&labels) {
                Style::new().fg(Color::Red)
            } else {
                Style::new()
            };
            row(cells).style(style)
        });
    let heads = [
        "policy",
        "accepts",
        "sets apart",
        "rejects",
        "fails",
        "per second",
        "CPU median",
        "99 %",
    ];
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(9),
        Constraint::Length(10),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(9),
    ];
    table(
        frame,
        area,
        "Verdicts".to_owned(),
        heads,
        widths,
        rows.collect(),
    );
}

fn hop(frame: &mut Frame<'_>, area: Rect, change: &Change<'_>) {
    let calls = change.list(Metric::HttpClient, By::Call);
    let mut calls: Vec<_> = calls
        .into_iter()
        .map(|labels| (change.frequency(Metric::HttpClient, &labels), labels))
        .collect();
    // The most frequent first: there may not be room for all.
    calls.sort_by(|(one, _), (other, _)| {
        other
            .unwrap_or_default()
            .total_cmp(&one.unwrap_or_default())
    });
    let rows = calls.into_iter().map(|(frequency, labels)| {
        let [median, high] = quantiles(change, Metric::HttpClient, &labels);
        let retries = change.value(Metric::HopRetries, &labels);
        let name: Vec<_> = labels.values().collect();
        let cells = [
            name.join(" "),
            per_second(frequency),
            median,
            high,
            count(retries),
        ];
        let style = if retries > 0.0 {
            Style::new().fg(Color::Yellow)
        } else {
            Style::new()
        };
        row(cells).style(style)
    });
    let heads = [
        "call of services",
        "per second",
        "median",
        "99 %",
        "retries",
    ];
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(9),
    ];
    table(frame, area, "Hop".to_owned(), heads, widths, rows.collect());
}

fn steps(frame: &mut Frame<'_>, area: Rect, change: &Change<'_>) {
    let row = |(step, word): (Step, &'static str)| {
        let labels = Label::Step(step).into();
        let [median, high] = quantiles(change, Metric::StorageTime, &labels);
        row([
            word.to_owned(),
            per_second(change.frequency(Metric::StorageTime, &labels)),
            median,
            high,
        ])
    };
    let staged = change.rate(Metric::Bytes, &Label::Direction(Direction::Staged).into());
    let title = format!("Storage: {} staged", bytes_per_second(staged));
    let widths = [
        Constraint::Fill(1),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
    ];
    table(
        frame,
        area,
        title,
        ["step", "per second", "median", "99 %"],
        widths,
        STEPS.map(row).into(),
    );
}

fn disks(frame: &mut Frame<'_>, area: Rect, change: &Change<'_>) {
    let any = Labels::default();
    let mut lines: Vec<Line<'_>> = Vec::new();
    for labels in change.list(Metric::DiskSize, By::Disk) {
        let name = labels.values().next().unwrap_or_default().to_owned();
        let (free, size) = (
            change.value(Metric::DiskFree, &labels),
            change.value(Metric::DiskSize, &labels),
        );
        let words = format!(
            "{name}: {} free of {}",
            screen::bytes(whole(free)),
            screen::bytes(whole(size))
        );
        let line = Line::from(words);
        lines.push(if free < size / 10.0 { line.red() } else { line });
    }
    lines.push(Line::from(format!(
        "quarantine: {} files, {}",
        count(change.value(Metric::QuarantineFiles, &any)),
        screen::bytes(whole(change.value(Metric::QuarantineBytes, &any)))
    )));
    lines.push(Line::from(format!(
        "{} appends under way, {} jobs wait for the catalog",
        count(change.value(Metric::AppendsOpen, &any)),
        count(change.value(Metric::CatalogWaiting, &any))
    )));
    let signed = change.known(Metric::AuditSigned, &any);
    lines.extend(signed.map(|age| Line::from(format!("audit signed {:.0} min ago", age / 60.0))));
    let block = Block::bordered().title("Disk".bold());
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// A table in a frame.
fn table<const COLUMNS: usize>(
    frame: &mut Frame<'_>,
    area: Rect,
    title: String,
    heads: [&str; COLUMNS],
    widths: [Constraint; COLUMNS],
    rows: Vec<Row<'_>>,
) {
    let heads = row(heads.map(str::to_owned)).dim();
    let block = Block::bordered().title(title.bold());
    frame.render_widget(Table::new(rows, widths).header(heads).block(block), area);
}

/// A row: the first cell says what it is about, the others are numbers.
fn row<'a, const COLUMNS: usize>(cells: [String; COLUMNS]) -> Row<'a> {
    let cells = cells.into_iter().enumerate();
    Row::new(cells.map(|(column, cell)| {
        let line = Line::from(cell);
        Text::from(if column == 0 {
            line
        } else {
            line.right_aligned()
        })
    }))
}

fn rows(rows: usize) -> u16 {
    u16::try_from(rows + AROUND).unwrap_or(u16::MAX)
}

fn per_second(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"))
}

fn bytes_per_second(rate: Option<f64>) -> String {
    rate.map_or_else(
        || "-".to_owned(),
        |rate| format!("{}/s", screen::bytes(whole(rate))),
    )
}

fn time(seconds: Option<f64>) -> String {
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.map_or_else(|| "-".to_owned(), screen::time)
}

/// The median of a histogram of times, and what 99 % of its values do not exceed.
fn quantiles(change: &Change<'_>, metric: Metric, labels: &Labels) -> [String; 2] {
    [0.5, 0.99].map(|share| time(change.quantile(metric, labels, share)))
}

fn count(number: f64) -> String {
    format!("{number:.0}")
}

/// A number of Prometheus that counts something.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
