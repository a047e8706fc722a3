use crate::finding::{MAX_MESSAGE_BYTES, cut};
use crate::{Admission, Conclusion, Destination, Failure, Placement, Progress, Refusal};

impl Refusal {
    /// For one broken rule, with one sentence for the uploader: what is wrong, where, and what to do. What
    /// goes over 1024 bytes is cut. Never quote the data in it.
    pub fn new(rule: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            message: cut(message.into(), MAX_MESSAGE_BYTES),
        }
    }
}

/// A refusal as the answer to a call.
macro_rules! rejects {
    ($($answer:ident),*) => {
        $(impl From<Refusal> for $answer {
            fn from(refusal: Refusal) -> Self {
                Self::Reject(refusal)
            }
        }

        impl From<Refusal> for Result<$answer, Failure> {
            fn from(refusal: Refusal) -> Self {
                Ok(refusal.into())
            }
        })*
    };
}

rejects!(Admission, Progress, Conclusion, Placement, Destination);
