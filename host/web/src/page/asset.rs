//! What the pages load: the stylesheet and mark of this crate, and the front end if it was built.

/// A file that is embedded in the program.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The last part of its address, below `/assets/`; it changes with the content.
    pub name: &'static str,
    /// The content.
    pub bytes: &'static [u8],
    /// The value of `Content-Type`.
    pub media_type: &'static str,
    /// Whether the name stands for these bytes for ever.
    pub immutable: bool,
}

// ASSETS, STYLESHEETS, SCRIPTS and MARK, as build.rs found them.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The asset at `/assets/<name>`.
pub fn asset(name: &str) -> Option<Asset> {
    ASSETS.iter().find(|asset| asset.name == name).copied()
}

/// The names of the stylesheets, in the order in which pages load them.
pub(super) fn stylesheets() -> &'static [&'static str] {
    STYLESHEETS
}

/// The names of the scripts of the upload page. None if the front end was not built.
pub(super) fn scripts() -> &'static [&'static str] {
    SCRIPTS
}

/// The name of the picture that stands for Portcullis.
pub(super) fn mark() -> &'static str {
    MARK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_page_names_is_there_and_has_its_media_type() {
        let kinds = [
            (stylesheets(), "text/css"),
            (scripts(), "text/javascript"),
            (&[mark()][..], "image/svg"),
        ];
        for (names, kind) in kinds {
            for name in names {
                let asset = asset(name).expect(name);
                assert!(
                    asset.media_type.starts_with(kind) && asset.immutable,
                    "{asset:?}"
                );
                assert!(!asset.bytes.is_empty(), "{name}");
            }
        }
        assert!(!stylesheets().is_empty());
    }

    #[test]
    fn what_is_built_in_comes_with_its_licences() {
        let licenses = asset("licenses.md").expect("is embedded");
        let text = std::str::from_utf8(licenses.bytes).expect("is text");
        assert!(text.contains("tus-js-client") && text.contains("MIT"));
        assert!(!licenses.immutable);
    }

    #[test]
    fn other_names_are_not_files() {
        for name in [
            "",
            ".",
            "../page.rs",
            "page.css",
            "manifest.json",
            "mark.svg%00",
        ] {
            assert!(asset(name).is_none(), "{name}");
        }
    }
}
