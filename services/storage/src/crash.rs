//! Points at which a test ends the process, as `kill -9` would at that moment. None of this is in a release build.

/// Each point once, with its name.
macro_rules! points {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// A moment on the way of a file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CrashPoint {
            $($(#[$doc])* $name,)*
        }

        impl CrashPoint {
            /// Every point that there is, in the order of an upload.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

points! {
    /// An upload has its row.
    UploadCreated = "upload-created",
    /// A stage has its name.
    StageCreated = "stage-created",
    /// A stage has bytes that are not durable.
    StageWritten = "stage-written",
    /// They are durable, and nothing says so.
    StageDurable = "stage-durable",
    /// The offset is recorded, and not answered.
    OffsetRecorded = "offset-recorded",
    /// All bytes are durable and are what was announced.
    StageSealed = "stage-sealed",
    /// The version has its name, which may not be durable.
    VersionNamed = "version-named",
    /// The version is durable, and nothing says that it is one.
    VersionKept = "version-kept",
    /// All bytes of a small upload are written.
    WholeWritten = "whole-written",
    /// Its version has its name; neither is durable.
    WholeNamed = "whole-named",
    /// Its bytes are durable; the name may not be.
    WholeDurable = "whole-durable",
    /// Its version is durable, and nothing says that it is one.
    WholeKept = "whole-kept",
    /// A transaction of the catalog is complete, and not durable.
    TransactionComplete = "transaction-complete",
    /// It is durable, and not answered.
    TransactionDurable = "transaction-durable",
    /// An upload is committed and not visible.
    UploadCommitted = "upload-committed",
    /// The link that is to replace a visible one is made.
    LinkPrepared = "link-prepared",
    /// The visible link is made, and may not be durable.
    LinkMade = "link-made",
    /// It is durable, and the stage is still there.
    UploadShown = "upload-shown",
    /// The stage is gone, and nothing is answered.
    UploadSettled = "upload-settled",
    /// An upload has ended without being stored, and its bytes are still there.
    UploadConcluded = "upload-concluded",
    /// A file is deleted and still visible.
    FileDeleted = "file-deleted",
    /// A visible link is gone, which may not be durable.
    LinkHidden = "link-hidden",
    /// A deletion is taken back, and the file is not visible yet.
    FileUndeleted = "file-undeleted",
    /// A file is purged, and its bytes are still there.
    FilePurged = "file-purged",
    /// Some of its bytes are gone.
    VersionDropped = "version-dropped",
    /// A file is released from quarantine and not visible yet.
    FileReleased = "file-released",
    /// A file in quarantine is discarded, and its bytes are still there.
    FileDiscarded = "file-discarded",
}

/// Ends the process here if the file that `PORTCULLIS_CRASH_AT` names holds the name of this point.
#[cfg(debug_assertions)]
pub fn crash_point(point: CrashPoint) {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("PORTCULLIS_CRASH_AT").map(PathBuf::from));
    let Some(file) = file else {
        return;
    };
    if std::fs::read_to_string(file).is_ok_and(|wanted| wanted.trim() == point.as_str()) {
        // Nothing that was not made durable before gets a chance to be.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
#[inline]
pub fn crash_point(_: CrashPoint) {}
