//! The policy as a whole, as the host sees it.

use portcullis_file_type::{Content, FileType, KINDS, PREFIX_BYTES};
use portcullis_policy::testing::{self, Outcome};
use portcullis_policy::{Upload, Validator};
use proptest::prelude::*;

const EVERYTHING: &str = r#"{"allow": ["csv", "tsv", "txt", "json", "xml", "pdf", "png", "zip", "xlsx", "docx", "gzip", "dicom"]}"#;

/// The rule that refused, if one did.
fn judged(settings: &str, upload: &Upload, bytes: &[u8]) -> Option<String> {
    let mut policy: FileType = testing::configure(settings).expect("good settings");
    match testing::run(&mut policy, upload, bytes).expect("can judge") {
        Outcome::Accept => None,
        Outcome::Reject(refusal) => {
            assert!(refusal.message.ends_with('.'), "{}", refusal.message);
            assert!(FileType::RULES.iter().any(|rule| rule.id == refusal.rule));
            Some(refusal.rule)
        }
        Outcome::Quarantine(_) => panic!("the policy never quarantines"),
    }
}

fn rule(filename: &str, bytes: &[u8]) -> Option<String> {
    judged(EVERYTHING, &testing::upload(filename), bytes)
}

/// The beginning of an archive with these entries.
fn archive(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        bytes.extend_from_slice(b"PK\x03\x04");
        bytes.extend_from_slice(&[0; 22]);
        let length = u16::try_from(name.len()).expect("short");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(name.as_bytes());
    }
    bytes
}

fn dicom() -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM");
    bytes
}

#[test]
fn files_that_are_what_they_are_called_pass() {
    let office = archive(&["[Content_Types].xml", "xl/workbook.xml"]);
    for (filename, bytes) in [
        ("patient.csv", b"id,sex\n1,F\n".as_slice()),
        ("patient.csv", "\u{feff}id,naïve\r\n".as_bytes()),
        ("patient.CSV", b"caf\xe9;1\n"),
        ("patient.tab", b"id\tsex\n"),
        ("notes.txt", b"MZ is not always a program.\n"),
        ("data.json", b"{\"a\": \"<script>\"}"),
        ("study.xml", b"<?xml version=\"1.0\"?>\n<study/>"),
        ("study.xml", b"<study/>"),
        ("form.pdf", b"%PDF-1.7\n"),
        ("scan.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        ("data.zip", b"PK\x05\x06"),
        ("book.xlsx", &office),
        ("patient.csv.gz", b"\x1f\x8b\x08\0\0\0\0\0"),
        ("scan.dcm", &dicom()),
    ] {
        assert_eq!(rule(filename, bytes), None, "{filename}");
    }
}

#[test]
fn words_that_signatures_share_with_data_do_not_refuse_it() {
    let at = |offset: usize, word: &str| format!("{}{word}\n", "x".repeat(offset));
    for text in [
        at(257, "ustar"),
        at(128, "DICM"),
        at(4, "ftyp"),
        "dex\n035\n".to_owned(),
        "PAR1,PAR2\n".to_owned(),
        "<% of total,<p,<5\n".to_owned(),
    ] {
        assert_eq!(rule("a.csv", text.as_bytes()), None, "{text}");
    }
}

#[test]
fn an_empty_text_passes_and_an_empty_image_does_not() {
    assert_eq!(rule("patient.csv", b""), None);
    assert_eq!(rule("scan.png", b"").as_deref(), Some("content"));
}

#[test]
fn executables_pages_and_scripts_are_refused_under_every_name() {
    let jar = archive(&["META-INF/MANIFEST.MF"]);
    let evil: [(&[u8], &str); 9] = [
        (b"\x7fELF\x02\x01\x01\0", "executable"),
        (b"MZ\x90\0\x03\0\0\0", "executable"),
        (b"\xcf\xfa\xed\xfe\x07\0\0\x01", "executable"),
        (b"\0asm\x0d\0\x01\0", "executable"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", "executable"),
        (b" <!DOCTYPE html><script>1</script>", "html"),
        (b"<svg onload=alert(1)>", "html"),
        (b"#!/bin/sh\nrm -rf /\n", "script"),
        (b"<?php system('id');", "script"),
    ];
    for filename in [
        "a.csv", "a.txt", "a.json", "a.xml", "a.pdf", "a.png", "a.zip", "a.xlsx", "a.gz",
    ] {
        for (bytes, wanted) in evil {
            assert_eq!(
                rule(filename, bytes).as_deref(),
                Some(wanted),
                "{filename} {wanted}"
            );
        }
    }
    assert_eq!(rule("a.zip", &jar).as_deref(), Some("executable"));
    assert_eq!(rule("a.xlsx", &jar).as_deref(), Some("executable"));
}

#[test]
fn content_of_another_kind_is_refused() {
    let plain = archive(&["data.csv"]);
    let text = archive(&["[Content_Types].xml", "word/document.xml"]);
    for (filename, bytes) in [
        ("a.csv", b"%PDF-1.7".as_slice()),
        ("a.csv", &plain),
        ("a.csv", b"\x1f\x8b\x08\0"),
        ("a.csv", b"SQLite format 3\0"),
        ("a.csv", b"id,\0\n"),
        ("a.csv", b"\xff\xfei\0d\0"),
        ("a.csv", b"<?xml version=\"1.0\"?><study/>"),
        ("a.xml", b"<!-- for ever"),
        ("a.png", b"id,sex\n"),
        ("a.xlsx", &plain),
        ("a.xlsx", &text),
        ("a.zip", &text),
        ("a.dcm", b"DICM"),
    ] {
        assert_eq!(
            rule(filename, bytes).as_deref(),
            Some("content"),
            "{filename}"
        );
    }
    let macros = archive(&["[Content_Types].xml", "xl/vbaProject.bin"]);
    assert_eq!(rule("a.xlsx", &macros).as_deref(), Some("script"));
}

#[test]
fn a_declared_media_type_must_not_contradict_the_extension() {
    let csv = |media_type: &str| {
        let upload = testing::upload("a.csv").with_media_type(media_type);
        judged("{}", &upload, b"id\n1\n")
    };
    for fine in [
        "text/csv",
        "text/plain",
        "application/vnd.ms-excel",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ] {
        assert_eq!(csv(fine), None, "{fine}");
    }
    for wrong in [
        "text/html",
        "application/pdf",
        "image/svg+xml",
        "text/tab-separated-values",
    ] {
        assert_eq!(csv(wrong).as_deref(), Some("media-type"), "{wrong}");
    }
}

#[test]
fn only_allowed_extensions_pass_and_tables_are_the_default() {
    for (filename, wanted) in [
        ("a.csv", None),
        ("a.tsv", None),
        ("a.txt", Some("extension")),
        ("a.csv.exe", Some("extension")),
        ("a.exe.csv", Some("extension")),
        ("a.csv.", Some("extension")),
        ("", Some("extension")),
    ] {
        let rule = judged("{}", &testing::upload(filename), b"a\n");
        assert_eq!(rule.as_deref(), wanted, "{filename}");
    }
}

#[test]
fn wrong_settings_say_what_is_possible() {
    let error = |json| testing::configure::<FileType>(json).expect_err("wrong");
    let unknown = error(r#"{"allow": ["cvs"]}"#);
    assert!(
        unknown
            .starts_with("setting `allow`: unknown kind \"cvs\"; the known kinds are csv, tsv, ")
    );
    assert!(error(r#"{"allow": []}"#).contains("at least one kind"));
    assert_eq!(
        error(r#"{"alow": []}"#),
        "unknown setting `alow`, expected `allow`"
    );
    assert!(error(r#"{"allow": "csv"}"#).starts_with("setting `allow`: invalid type"));
}

#[test]
fn every_signature_lies_within_the_prefix() {
    for kind in KINDS {
        if let Content::Signed(signatures) = &kind.content {
            let parts = signatures.iter().flat_map(|signature| signature.iter());
            for (offset, bytes) in parts {
                assert!(offset + bytes.len() <= PREFIX_BYTES, "{}", kind.name);
            }
        }
    }
}

/// Bytes that come near to what the policy looks for.
fn telling_bytes() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::sample::select(vec![
            b"PK\x03\x04".to_vec(),
            archive(&["[Content_Types].xml", "xl/"]),
            b"<!--".to_vec(),
            b"-->".to_vec(),
            b"<?xml".to_vec(),
            b"?>".to_vec(),
            b"<html".to_vec(),
            b"<!DOCTYPE".to_vec(),
            b"MZ".to_vec(),
            b"#!".to_vec(),
            b"\xef\xbb\xbf".to_vec(),
            b" \n".to_vec(),
            b"id,sex\n".to_vec(),
            vec![b'x'; PREFIX_BYTES - 3],
        ]),
    ];
    prop::collection::vec(fragment, 0..8).prop_map(|fragments| fragments.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_judged_and_alike_however_they_are_cut(
        bytes in telling_bytes(),
        filename in prop::sample::select(vec!["a.csv", "a.xml", "a.pdf", "a.zip", "a.xlsx", "a.dcm"]),
        chunk_bytes in 1_usize..9000,
    ) {
        let upload = testing::upload(filename);
        let mut whole: FileType = testing::configure(EVERYTHING).expect("good settings");
        let mut cut: FileType = testing::configure(EVERYTHING).expect("good settings");
        let straight = testing::run(&mut whole, &upload, &bytes);
        prop_assert_eq!(
            &straight,
            &testing::run_in_chunks(&mut cut, &upload, &bytes, chunk_bytes)
        );
        let paused = testing::run_with_pauses::<FileType>(EVERYTHING, &upload, &bytes, chunk_bytes);
        prop_assert_eq!(straight, paused.map(|(outcome, _)| outcome));
    }

    #[test]
    fn any_name_and_media_type_are_judged(filename in "\\PC{0,30}|[a-z.: /\\\\]{0,16}", media_type in "\\PC{0,20}") {
        let upload = testing::upload(&filename).with_media_type(&media_type);
        let _ = judged("{}", &upload, b"a\n");
    }
}
