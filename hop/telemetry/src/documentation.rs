//! Pages of the documentation that end with a table from the code.

use std::path::Path;

/// Looks whether a page begins with its heading and ends with the table, which begins with these words of its head. With
/// `UPDATE_DOCS` in the environment the page is written instead.
pub(crate) fn ends_with(page: &str, heading: &str, head: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let path = path.join(page);
    let text = std::fs::read_to_string(&path).expect("is there");
    let (before, _) = text.split_once(head).expect("has a table");
    let wanted = format!("{before}{table}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(&path, &wanted).expect("is written");
    }
    assert!(text.starts_with(heading));
    assert_eq!(
        text, wanted,
        "run this test with UPDATE_DOCS=1, and commit docs/{page}"
    );
}
