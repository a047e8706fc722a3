//! What the service manager is told that started this process (`sd_notify(3)`). Where there is none, nobody is.

use std::time::Duration;

use portcullis_telemetry::{Detail, Line, log};
use sd_notify::NotifyState;

/// The server listens.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The server takes nothing new, and ends when what is under way has ended.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// What the server is doing, as `systemctl status` shows it.
pub fn status(words: &str) {
    tell(&[NotifyState::Status(words)]);
}

/// Says again and again that the server still does its work, as often as the service manager wants to hear it; it starts
/// a server anew that has stopped saying so. Returns at once when nobody wants to hear it.
///
/// It is run where requests are answered: when these stand still, it does too.
pub async fn keep_alive() {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return;
    };
    // Half of it, as sd_watchdog_enabled(3) advises.
    let mut ticks = tokio::time::interval((patience / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log(Line::SupervisorAway, [Detail::Io(error.kind())]);
    }
}
