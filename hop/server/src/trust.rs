use portcullis_types::{PublicKey, Trust};

use crate::{ConfigError, Resolved, Source};

/// Whose components may run, as `[policies]` says it on both servers.
///
/// # Errors
/// A signature is required, and no key counts.
pub fn trust(
    require_signature: Option<bool>,
    trusted_keys: Vec<PublicKey>,
    resolved: &mut Resolved,
) -> Result<Trust, ConfigError> {
    let given = [(require_signature, Source::File)];
    let is_required = resolved.pick("policies.require-signature", given, || false);
    if is_required && trusted_keys.is_empty() {
        return Err(ConfigError::Missing {
            name: "policies.trusted-keys",
            advice: "`require-signature` needs the keys whose signatures count, as `portcullis key generate` prints them",
        });
    }
    for key in &trusted_keys {
        resolved.note("policies.trusted-keys", key.to_string(), Source::File);
    }
    Ok(Trust {
        keys: trusted_keys,
        is_required,
    })
}
