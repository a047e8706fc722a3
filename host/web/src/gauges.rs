//! What is to be seen of the web host at any moment.

use std::sync::Arc;

use portcullis_engine::Policy;
use portcullis_telemetry::metrics::observe;
use portcullis_telemetry::{Label, Metric};
use portcullis_types::Sha256Digest;

use crate::gateway::Gateway;

/// What a gauge shows: its values, and what tells them apart.
type Values = Vec<(u64, Option<Label>)>;

/// Shows them, for as long as there is a gateway.
pub(crate) fn show(gateway: &Arc<Gateway>) {
    let gauge = |metric, look: fn(&Gateway) -> Values| {
        let gateway = Arc::downgrade(gateway);
        observe(metric, move || {
            let gateway = gateway.upgrade();
            gateway.map_or_else(Vec::new, |gateway| look(&gateway))
        });
    };
    gauge(Metric::UploadsOpen, |gateway| one(gateway.open() as u64));
    gauge(Metric::PolicyMemoryFree, |gateway| {
        one(gateway.engine().free_guest_bytes() as u64)
    });
    gauge(Metric::PolicyInstances, |gateway| {
        one(gateway.engine().instances())
    });
    gauge(Metric::PolicyRevision, |gateway| {
        let revision = gateway.engine().revision();
        one(revision.map_or(0, |revision| number(&revision.digest())))
    });
    gauge(Metric::PolicyBreaker, breakers);
}

fn one(value: u64) -> Values {
    vec![(value, None)]
}

/// Which policies keep failing.
fn breakers(gateway: &Gateway) -> Values {
    let value = |policy: &Arc<Policy>| {
        let name = Label::Policy(policy.name().clone());
        (u64::from(policy.breaker().is_open), Some(name))
    };
    let revision = gateway.engine().revision();
    revision.map_or_else(Vec::new, |revision| {
        revision.policies().iter().map(value).collect()
    })
}

/// The first 48 bits of a digest: as many as a number of Prometheus holds.
fn number(digest: &Sha256Digest) -> u64 {
    let first = digest.as_bytes().iter().take(6);
    first.fold(0, |number, byte| number << 8 | u64::from(*byte))
}
