use portcullis_hop::ApiKey;

use crate::{ConfigError, Environment, Resolved, Source};

/// The keys of `INTERNAL_API_KEY` or the file named by `INTERNAL_API_KEY_FILE`: one or two lines. The first
/// is sent, both are accepted, so that keys can be changed without a moment in which none fits. Empty when
/// neither variable is set.
pub fn internal_keys(
    environment: Environment<'_>,
    resolved: &mut Resolved,
) -> Result<Vec<ApiKey>, ConfigError> {
    let (text, source) = match (
        environment("INTERNAL_API_KEY"),
        environment("INTERNAL_API_KEY_FILE"),
    ) {
        (Some(key), _) => (key, "INTERNAL_API_KEY"),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path);
            let unreadable = |error: std::io::Error| {
                let why = format!("{path} cannot be read: {}", error.kind());
                ConfigError::value("INTERNAL_API_KEY_FILE", why)
            };
            (text.map_err(unreadable)?, "INTERNAL_API_KEY_FILE")
        }
        (None, None) => return Ok(Vec::new()),
    };
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if lines.is_empty() || lines.len() > 2 {
        let why = format!(
            "it has {} lines; one or two keys are possible, one a line",
            lines.len()
        );
        return Err(ConfigError::value(source, why));
    }
    let keys: Result<Vec<ApiKey>, _> = lines.into_iter().map(ApiKey::parse).collect();
    let keys = keys.map_err(|error| ConfigError::value(source, error))?;
    let shown = format!("{} key(s), masked", keys.len());
    resolved.note("internal-api-key", shown, Source::Variable(source));
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn keys(text: &str) -> Result<usize, String> {
        let text = text.to_owned();
        let environment = move |name: &str| (name == "INTERNAL_API_KEY").then(|| text.clone());
        let mut resolved = Resolved::default();
        let keys = internal_keys(&environment, &mut resolved).map_err(|error| error.to_string())?;
        assert!(!resolved.to_string().contains(KEY));
        Ok(keys.len())
    }

    #[test]
    fn one_or_two_keys_are_taken_and_none_is_shown() {
        assert_eq!(keys(KEY), Ok(1));
        assert_eq!(keys(&format!("{KEY}\n{KEY}x\n")), Ok(2));
        for (text, says) in [
            ("", "0 lines"),
            (&format!("{KEY}\n{KEY}\n{KEY}")[..], "3 lines"),
            ("secret-but-short"[..8].as_ref(), "16 to 512"),
        ] {
            let error = keys(text).expect_err("is refused");
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }
}
