use portcullis_types::{Attributes, DiskPath, Principal, Sha256Digest, Timestamp, UploadId};

/// All that is known about an upload before its first byte: what policies are shown.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its identifier.
    pub id: UploadId,
    /// The name of the file as the client gave it: untrusted, possibly empty, at most 255 bytes.
    pub filename: String,
    /// The folder that it lies in, within the one that the client chose.
    pub folder: Option<DiskPath>,
    /// The declared media type in lower case without parameters.
    pub media_type: Option<String>,
    /// The declared length in bytes.
    pub length: Option<u64>,
    /// Form fields or query parameters.
    pub attributes: Attributes,
    /// Who sends it.
    pub principal: Principal,
    /// When it was created: the only time that a policy sees.
    pub received_at: Timestamp,
}

/// The whole upload, once it has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its length in bytes.
    pub length: u64,
    /// The digest of its bytes.
    pub sha256: Sha256Digest,
}
