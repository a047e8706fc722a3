use crate::container::Container;
use crate::signature::Signature;

/// One kind of file that an administrator can allow.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// What the settings call it.
    pub name: &'static str,
    /// Without the dot, in lower case; no other kind has them.
    pub extensions: &'static [&'static str],
    /// What clients declare for it, aliases and habits of browsers included.
    pub media_types: &'static [&'static str],
    /// What its first bytes must be.
    pub content: Content,
}

/// What the first bytes of a kind must be.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// Text that is neither markup nor a script.
    Text,
    /// Text that may be markup, but neither HTML nor SVG nor a script.
    Xml,
    /// One of these signatures.
    Signed(&'static [Signature]),
    /// A ZIP archive of this sort.
    Zip(Container),
}

impl Kind {
    /// The kind of that name in the settings.
    pub fn named(name: &str) -> Option<&'static Kind> {
        KINDS.iter().find(|kind| kind.name == name)
    }
}

const fn kind(
    name: &'static str,
    extensions: &'static [&'static str],
    media_types: &'static [&'static str],
    content: Content,
) -> Kind {
    Kind {
        name,
        extensions,
        media_types,
        content,
    }
}

/// Every kind that can be allowed. HTML, SVG, scripts and executables are not among them, on purpose.
pub const KINDS: &[Kind] = &[
    // Windows declares every .csv as application/vnd.ms-excel once Excel is installed.
    kind(
        "csv",
        &["csv"],
        &[
            "text/csv",
            "text/x-csv",
            "application/csv",
            "application/x-csv",
            "text/comma-separated-values",
            "text/x-comma-separated-values",
            "application/vnd.ms-excel",
            "text/plain",
        ],
        Content::Text,
    ),
    kind(
        "tsv",
        &["tsv", "tab"],
        &[
            "text/tab-separated-values",
            "text/tsv",
            "application/vnd.ms-excel",
            "text/plain",
        ],
        Content::Text,
    ),
    kind("txt", &["txt", "text"], &["text/plain"], Content::Text),
    kind(
        "json",
        &["json"],
        &["application/json", "text/json", "text/plain"],
        Content::Text,
    ),
    kind(
        "ndjson",
        &["ndjson", "jsonl"],
        &[
            "application/x-ndjson",
            "application/ndjson",
            "application/jsonl",
            "application/json",
            "text/plain",
        ],
        Content::Text,
    ),
    kind(
        "xml",
        &["xml"],
        &["application/xml", "text/xml", "text/plain"],
        Content::Xml,
    ),
    kind(
        "pdf",
        &["pdf"],
        &["application/pdf", "application/x-pdf"],
        Content::Signed(&[&[(0, b"%PDF-")]]),
    ),
    kind(
        "png",
        &["png"],
        &["image/png"],
        Content::Signed(&[&[(0, b"\x89PNG\r\n\x1a\n")]]),
    ),
    kind(
        "jpeg",
        &["jpg", "jpeg", "jfif"],
        &["image/jpeg", "image/jpg", "image/pjpeg"],
        Content::Signed(&[&[(0, b"\xff\xd8\xff")]]),
    ),
    kind(
        "gif",
        &["gif"],
        &["image/gif"],
        Content::Signed(&[&[(0, b"GIF87a")], &[(0, b"GIF89a")]]),
    ),
    // The last two are BigTIFF.
    kind(
        "tiff",
        &["tif", "tiff"],
        &["image/tiff"],
        Content::Signed(&[
            &[(0, b"II*\0")],
            &[(0, b"MM\0*")],
            &[(0, b"II+\0\x08\0\0\0")],
            &[(0, b"MM\0+\0\x08\0\0")],
        ]),
    ),
    kind(
        "webp",
        &["webp"],
        &["image/webp"],
        Content::Signed(&[&[(0, b"RIFF"), (8, b"WEBP")]]),
    ),
    kind(
        "mp4",
        &["mp4", "m4v"],
        &["video/mp4", "video/x-m4v"],
        Content::Signed(&[&[(4, b"ftyp")]]),
    ),
    kind(
        "zip",
        &["zip"],
        &[
            "application/zip",
            "application/x-zip",
            "application/x-zip-compressed",
        ],
        Content::Zip(Container::Plain),
    ),
    kind(
        "xlsx",
        &["xlsx"],
        &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
        Content::Zip(Container::Spreadsheet),
    ),
    kind(
        "docx",
        &["docx"],
        &["application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
        Content::Zip(Container::Document),
    ),
    kind(
        "pptx",
        &["pptx"],
        &["application/vnd.openxmlformats-officedocument.presentationml.presentation"],
        Content::Zip(Container::Presentation),
    ),
    // 8 is the only method of compression that RFC 1952 knows.
    kind(
        "gzip",
        &["gz", "gzip"],
        &["application/gzip", "application/x-gzip"],
        Content::Signed(&[&[(0, b"\x1f\x8b\x08")]]),
    ),
    kind(
        "tar",
        &["tar"],
        &["application/x-tar"],
        Content::Signed(&[&[(257, b"ustar")]]),
    ),
    kind(
        "parquet",
        &["parquet"],
        &["application/vnd.apache.parquet", "application/x-parquet"],
        Content::Signed(&[&[(0, b"PAR1")]]),
    ),
    kind(
        "hdf5",
        &["h5", "hdf5"],
        &["application/x-hdf5", "application/x-hdf"],
        Content::Signed(&[&[(0, b"\x89HDF\r\n\x1a\n")]]),
    ),
    // Part 10 of the standard: a preamble of 128 bytes with any content, then the prefix.
    kind(
        "dicom",
        &["dcm", "dicom"],
        &["application/dicom"],
        Content::Signed(&[&[(128, b"DICM")]]),
    ),
    // The length of the header in either byte order, and the version.
    kind(
        "nifti",
        &["nii"],
        &["application/x-nifti", "image/nifti"],
        Content::Signed(&[
            &[(0, b"\x5c\x01\0\0"), (344, b"n+1\0")],
            &[(0, b"\0\0\x01\x5c"), (344, b"n+1\0")],
            &[(0, b"\x1c\x02\0\0n+2\0\r\n\x1a\n")],
            &[(0, b"\0\0\x02\x1cn+2\0\r\n\x1a\n")],
        ]),
    ),
    kind(
        "sas7bdat",
        &["sas7bdat"],
        &["application/x-sas-data"],
        Content::Signed(&[&[(
            0,
            b"\0\0\0\0\0\0\0\0\0\0\0\0\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\0\x09\xc7\x31\x8c\x18\x1f\x10\x11",
        )]]),
    ),
    // SAS transport files of version 5 and 8.
    kind(
        "xpt",
        &["xpt", "xport"],
        &["application/x-sas-xport", "application/x-sas-transport"],
        Content::Signed(&[
            &[(0, b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!")],
            &[(0, b"HEADER RECORD*******LIBV8   HEADER RECORD!!!!!!!")],
        ]),
    ),
    kind(
        "sav",
        &["sav", "zsav"],
        &["application/x-spss-sav"],
        Content::Signed(&[&[(0, b"$FL2@(#)")], &[(0, b"$FL3@(#)")]]),
    ),
    // From version 13 on; older ones begin with a single byte, which says too little.
    kind(
        "dta",
        &["dta"],
        &["application/x-stata", "application/x-stata-dta"],
        Content::Signed(&[&[(0, b"<stata_dta>")]]),
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_extensions_belong_to_one_kind_and_are_in_lower_case() {
        let mut names = HashSet::new();
        let mut extensions = HashSet::new();
        for kind in KINDS {
            assert!(names.insert(kind.name), "{}", kind.name);
            for extension in kind.extensions {
                assert!(extensions.insert(extension), "{extension}");
                assert_eq!(*extension, extension.to_lowercase());
            }
            for media_type in kind.media_types {
                assert_eq!(*media_type, media_type.to_lowercase());
                assert!(media_type.contains('/'), "{media_type}");
            }
        }
    }
}
