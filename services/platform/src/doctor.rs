//! `portcullis-services doctor`: whether services can do their work, and what to do where they cannot.

mod catalog;
mod disk;
mod running;
mod user;

use portcullis_server::doctor::{Check, Report, collector, key, role};
use portcullis_server::{Environment, Role};

use crate::config::{Config, Flags};

/// Looks at everything, in the order in which one would look for a fault. Nothing is changed but for a probe file on each
/// disk, which goes at once.
pub async fn examine(flags: Flags, environment: Environment<'_>) -> Report {
    let mut checks = vec![role(Role::Services, environment)];
    let key = key(environment);
    checks.push(key.check);
    // Their own checks have told what is wrong with these two.
    let lookup = |name: &str| match name {
        "SERVER_ROLE" => Some("services".to_owned()),
        "INTERNAL_API_KEY" if key.key.is_none() => Some("no-key-so-none-fits".to_owned()),
        _ => environment(name),
    };
    match Config::load(flags, &lookup) {
        Ok(config) => {
            checks.push(Check::ok("configuration", "every value can be used"));
            checks.push(user::examine(&config.disks));
            let seen = catalog::look(&config.catalog);
            checks.push(seen.check);
            let reserve = config.uploads.reserve_bytes;
            for (name, disk) in &config.disks {
                checks.push(disk::examine(name, disk, reserve, seen.kept.as_ref()));
            }
            checks.push(seen.clock);
            checks.push(running::examine(config.listen, key.key).await);
            checks.push(seen.policies);
        }
        Err(error) => {
            let fix = "mend it, then `portcullis-services --check-config` shows what is in force";
            checks.push(Check::problem("configuration", error.to_string(), fix));
        }
    }
    checks.push(collector().await);
    Report::new(Role::Services, checks)
}
