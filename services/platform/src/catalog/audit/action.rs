/// Each action once, with the word for it.
macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// Every action that there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for it, in the catalog and wherever it is shown.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

actions! {
    /// A file was stored at its path.
    Created = "created",
    /// A file that was on the disk before was taken under the catalog.
    Imported = "imported",
    /// A file was stored apart.
    Quarantined = "quarantined",
    /// A file that was kept apart is shown at its path.
    Released = "released",
    /// A file that was kept apart is gone.
    Discarded = "discarded",
    /// An upload was refused.
    Rejected = "rejected",
    /// An upload was given up by its owner.
    Cancelled = "cancelled",
    /// An upload was given up because nothing came for too long.
    Expired = "expired",
    /// An upload ended because storage failed.
    Failed = "failed",
    /// A file was read.
    Read = "read",
    /// It was looked which files there are, or what is known of one.
    Listed = "listed",
    /// A file was deleted.
    Deleted = "deleted",
    /// The last deletion of a file was taken back.
    Undeleted = "undeleted",
    /// All versions of a file are gone for good.
    Purged = "purged",
    /// The bytes of a version are gone, and nothing could bring them back.
    Lost = "lost",
    /// Another disk takes the place of one that is gone.
    DiskAdopted = "disk-adopted",
    /// A token was made.
    TokenAdded = "token-added",
    /// A token was revoked.
    TokenRevoked = "token-revoked",
    /// A revision of the policies was sent.
    PoliciesSent = "policies-sent",
    /// A revision of the policies became active.
    PoliciesActivated = "policies-activated",
    /// A revision of the policies judges in the shadow before it may become active.
    PoliciesOnTrial = "policies-on-trial",
    /// A revision of the policies will not become active by itself.
    PoliciesTrialDropped = "policies-trial-dropped",
    /// What rows of the audit said was erased.
    AuditErased = "audit-erased",
    /// The audit is signed with another key from here on.
    AuditKeyChanged = "audit-key-changed",
}
