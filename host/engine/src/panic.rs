//! What a policy wrote to standard error when it ended, in one line: where it panicked, and with what message.

/// What Rust's standard library writes before the place, and after the message.
const PANICKED: &str = "panicked at ";
const NOTE: &str = "note: run with `RUST_BACKTRACE";

/// `at src/lib.rs:9:5: the message` for a panic of Rust; everything, on one line, where it is something else.
pub(crate) fn said(stderr: &str) -> String {
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if stderr.is_empty() {
        return "or exited without a word on standard error".to_owned();
    }
    let rust = stderr.rsplit_once(PANICKED).and_then(|(_, panic)| {
        let (place, message) = panic.split_once(":\n")?;
        let message = message.split(NOTE).next().unwrap_or(message);
        Some(format!("at {place}: {}", flat(message)))
    });
    rust.unwrap_or_else(|| format!("or exited, and wrote: {}", flat(stderr)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_and_message_are_found() {
        let written = "\nthread '<unnamed>' (1) panicked at src/lib.rs:9:85:\nno row\nthree\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
        assert_eq!(said(written), "at src/lib.rs:9:85: no row three");
        assert_eq!(
            said("Traceback:\n  x"),
            "or exited, and wrote: Traceback: x"
        );
        assert_eq!(said(""), "or exited without a word on standard error");
    }
}
