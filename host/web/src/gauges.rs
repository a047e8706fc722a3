//! What is to be seen of the web host at any moment.

use std::sync::{Arc, Weak};

use portcullis_engine::Policy;
use portcullis_telemetry::metrics::observe;
use portcullis_telemetry::{Label, Metric};
use portcullis_types::Sha256Digest;

use crate::gateway::Gateway;

/// Shows them, for as long as there is a gateway.
pub(crate) fn show(gateway: &Arc<Gateway>) {
    let gauge = |metric, look: fn(&Gateway) -> u64| {
        let gateway: Weak<Gateway> = Arc::downgrade(gateway);
        observe(metric, move || {
            let gateway = gateway.upgrade();
            gateway
                .iter()
                .map(|gateway| (look(gateway), None))
                .collect()
        });
    };
    show_breakers(gateway);
    gauge(Metric::UploadsOpen, |gateway| gateway.open() as u64);
    gauge(Metric::PolicyMemoryFree, |gateway| {
        gateway.engine().free_guest_bytes() as u64
    });
    gauge(Metric::PolicyInstances, |gateway| {
        gateway.engine().instances()
    });
    gauge(Metric::PolicyRevision, |gateway| {
        let revision = gateway.engine().revision();
        revision.map_or(0, |revision| number(&revision.digest()))
    });
}

/// Shows which policies keep failing.
fn show_breakers(gateway: &Arc<Gateway>) {
    let gateway: Weak<Gateway> = Arc::downgrade(gateway);
    observe(Metric::PolicyBreaker, move || {
        let gateway = gateway.upgrade();
        let revision = gateway.and_then(|gateway| gateway.engine().revision());
        let value = |policy: &Arc<Policy>| {
            let name = Label::Policy(policy.name().clone());
            (u64::from(policy.breaker().is_open), Some(name))
        };
        revision.map_or_else(Vec::new, |revision| {
            revision.policies().iter().map(value).collect()
        })
    });
}

/// The first 48 bits of a digest: as many as a number of Prometheus holds.
fn number(digest: &Sha256Digest) -> u64 {
    let first = digest.as_bytes().iter().take(6);
    first.fold(0, |number, byte| number << 8 | u64::from(*byte))
}
