//! What `policy new` gives to an author: the SDK and the contract as this tool was built with, and a first policy.

include!(concat!(env!("OUT_DIR"), "/vendored.rs"));

/// The files of a new project, in which `{{name}}` stands for its name.
pub(crate) const PROJECT: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../template/Cargo.toml.txt")),
    ("README.md", include_str!("../../template/README.md")),
    (".gitignore", "/target\n/*.wasm\n"),
    (
        ".cargo/config.toml",
        include_str!("../../template/config.toml"),
    ),
    ("src/lib.rs", include_str!("../../template/lib.rs")),
    (
        "fixtures/short-lines-pass/request.toml",
        include_str!("../../template/fixtures/short-lines-pass/request.toml"),
    ),
    (
        "fixtures/short-lines-pass/body.txt",
        include_str!("../../template/fixtures/short-lines-pass/body.txt"),
    ),
    (
        "fixtures/short-lines-pass/expected.toml",
        include_str!("../../template/fixtures/short-lines-pass/expected.toml"),
    ),
    (
        "fixtures/a-long-line-is-refused/request.toml",
        include_str!("../../template/fixtures/a-long-line-is-refused/request.toml"),
    ),
    (
        "fixtures/a-long-line-is-refused/body.txt",
        include_str!("../../template/fixtures/a-long-line-is-refused/body.txt"),
    ),
    (
        "fixtures/a-long-line-is-refused/settings.toml",
        include_str!("../../template/fixtures/a-long-line-is-refused/settings.toml"),
    ),
    (
        "fixtures/a-long-line-is-refused/expected.toml",
        include_str!("../../template/fixtures/a-long-line-is-refused/expected.toml"),
    ),
];

/// Where the SDK and the contract go in it.
pub(crate) const FOLDER: &str = "portcullis";
