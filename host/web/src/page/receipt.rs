//! What an auditor asks for: where it lies, its digest, who judged it.

use maud::{Markup, html};
use portcullis_hop::Receipt;
use portcullis_types::{PolicyVerdict, Verdict};

use super::quantity::{grouped, size};
use super::settings::TraceUrl;

/// The receipt of a stored file.
pub(super) fn receipt(receipt: &Receipt, traces: Option<&TraceUrl>) -> Markup {
    html! {
        details class="receipt" {
            summary { "Receipt" }
            dl {
                dt { "Stored at" }
                dd { code { (receipt.disk) ":" (receipt.path) } " version " (receipt.version) }
                dt { "Size" }
                dd { (size(receipt.size)) @if receipt.size >= 1_000 { " (" (grouped(receipt.size)) " bytes)" } }
                dt { "SHA-256" }
                dd { code { (receipt.sha256) } }
                dt { "Time" }
                dd { time datetime=(receipt.stored_at) { (receipt.stored_at) } }
                (policies(&receipt.policies))
                dt { "Upload" }
                dd { code { (receipt.id) } }
                dt { "Trace" }
                dd { (trace(&receipt.trace_id.to_string(), traces)) }
            }
        }
    }
}

/// What is known of a file that was not stored.
pub(super) fn particulars(
    policies_said: &[PolicyVerdict],
    kind: &str,
    support_id: Option<&str>,
    traces: Option<&TraceUrl>,
) -> Markup {
    html! {
        details class="receipt" {
            summary { "Details" }
            dl {
                (policies(policies_said))
                dt { "Kind" }
                dd { code { (kind) } }
                @if let Some(id) = support_id {
                    dt { "Support id" }
                    dd { (trace(id, traces)) }
                }
            }
        }
    }
}

/// The id of a trace, which leads to it where the site says where that is.
fn trace(id: &str, traces: Option<&TraceUrl>) -> Markup {
    html! {
        @match traces {
            Some(traces) => {
                a href=(traces.of(id)) target="_blank" rel="noopener noreferrer" { code { (id) } }
            }
            None => { code { (id) } }
        }
    }
}

fn policies(policies: &[PolicyVerdict]) -> Markup {
    html! {
        @if !policies.is_empty() {
            dt { "Policies" }
            dd {
                ul class="policies" {
                    @for policy in policies {
                        li {
                            span class="policy-name" { (policy.name) " " (policy.version) }
                            " " span class="policy-verdict" {
                                (said(policy.verdict))
                            }
                            " " code { (policy.digest) }
                        }
                    }
                }
            }
        }
    }
}

fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accepts",
        Verdict::Quarantine => "quarantines",
        Verdict::Reject => "rejects",
        Verdict::Failed => "failed",
        Verdict::Undecided => "undecided",
    }
}
