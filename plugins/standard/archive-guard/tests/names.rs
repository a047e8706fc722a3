//! Archives whose names and sizes are in several places: programs that unpack them differ in which place they believe.

use portcullis_archive_guard::ArchiveGuard;
use portcullis_policy::testing::{self, Outcome};

fn judge(settings: &str, body: &[u8]) -> Result<(), String> {
    let mut policy: ArchiveGuard = testing::configure(settings).expect("the settings are right");
    let upload = testing::upload("archive");
    match testing::run(&mut policy, &upload, body).expect("can be judged") {
        Outcome::Accept => Ok(()),
        Outcome::Reject(refusal) | Outcome::Quarantine(refusal) => Err(refusal.rule),
    }
}

fn verdict(body: &[u8]) -> Result<(), String> {
    judge("{}", body)
}

fn rejected(rule: &str) -> Result<(), String> {
    Err(rule.to_owned())
}

/// A zip archive in the making.
#[derive(Default)]
struct Zip {
    bytes: Vec<u8>,
    list: Vec<u8>,
    entries: u16,
}

/// What is said of one entry. Its content is stored as it is.
#[derive(Clone, Default)]
struct Entry {
    name: Vec<u8>,
    flags: u16,
    extra: Vec<u8>,
    listed_extra: Vec<u8>,
    listed_method: u16,
    listed_flags: u16,
    host: u8,
    attributes: u32,
    content: Vec<u8>,
    /// The size that is said in front of it, if it is another one.
    told: Option<u32>,
    /// What is behind it.
    behind: Vec<u8>,
}

impl Entry {
    fn of(name: &[u8]) -> Self {
        Self {
            name: name.to_vec(),
            ..Self::default()
        }
    }

    fn unicode(name: &[u8], unicode: &[u8]) -> Self {
        let extra = field(0x7075, &[b"\x01\0\0\0\0", unicode].concat());
        Self {
            extra: extra.clone(),
            listed_extra: extra,
            ..Self::of(name)
        }
    }
}

fn field(id: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("is short");
    [&id.to_le_bytes(), &length.to_le_bytes(), content].concat()
}

fn length_16(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).expect("is short").to_le_bytes()
}

fn length_32(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("is short").to_le_bytes()
}

impl Zip {
    fn add(mut self, entry: &Entry) -> Self {
        let offset = length_32(&self.bytes);
        let size = length_32(&entry.content);
        let told = entry.told.map_or(size, u32::to_le_bytes);
        let local = [
            b"PK\x03\x04\x14\0",
            &entry.flags.to_le_bytes()[..],
            b"\0\0\0\0\0\0\0\0\0\0",
            &told,
            &told,
            &length_16(&entry.name),
            &length_16(&entry.extra),
            &entry.name,
            &entry.extra,
            &entry.content,
            &entry.behind,
        ];
        self.bytes.extend(local.concat());
        let listed = [
            b"PK\x01\x02\x14",
            &[entry.host][..],
            b"\x14\0",
            &entry.listed_flags.to_le_bytes(),
            &entry.listed_method.to_le_bytes(),
            b"\0\0\0\0\0\0\0\0",
            &size,
            &size,
            &length_16(&entry.name),
            &length_16(&entry.listed_extra),
            b"\0\0\0\0\0\0",
            &entry.attributes.to_le_bytes(),
            &offset,
            &entry.name,
            &entry.listed_extra,
        ];
        self.list.extend(listed.concat());
        self.entries += 1;
        self
    }

    fn end(self) -> Vec<u8> {
        let (began, bytes) = (length_32(&self.bytes), length_32(&self.list));
        self.end_with(bytes, began, b"")
    }

    fn end_with(self, bytes: [u8; 4], began: [u8; 4], comment: &[u8]) -> Vec<u8> {
        let count = self.entries.to_le_bytes();
        let end = [
            b"PK\x05\x06\0\0\0\0",
            &count[..],
            &count,
            &bytes,
            &began,
            &length_16(comment),
            comment,
        ];
        [self.bytes, self.list, end.concat()].concat()
    }
}

fn zip(entries: &[Entry]) -> Vec<u8> {
    entries.iter().fold(Zip::default(), Zip::add).end()
}

#[test]
fn a_second_name_of_a_zip_entry_must_be_the_first_in_another_spelling() {
    let only_listed = Entry {
        extra: Vec::new(),
        ..Entry::unicode(b"ok.csv", b"../../evil.sh")
    };
    let only_in_front = Entry {
        listed_extra: Vec::new(),
        ..Entry::unicode(b"ok.csv", b"../../evil.sh")
    };
    let two = Entry {
        listed_extra: Entry::unicode(b"\x81.csv", "ö.csv".as_bytes()).extra,
        ..Entry::unicode(b"\x81.csv", "ü.csv".as_bytes())
    };
    let twice = Entry {
        extra: Entry::unicode(b"", b"a.csv").extra.repeat(2),
        ..Entry::of(b"a.csv")
    };
    for (entries, wanted) in [
        (vec![Entry::unicode(b"ok.csv", b"ok.csv")], Ok(())),
        (
            vec![Entry::unicode(b"gr\x94\xe1e.csv", "größe.csv".as_bytes())],
            Ok(()),
        ),
        (
            vec![Entry::unicode(b"ok.csv", b"../../evil.sh")],
            rejected("entry-name"),
        ),
        (vec![only_listed], rejected("entry-name")),
        (vec![only_in_front], rejected("entry-name")),
        (vec![two], rejected("entry-name")),
        (vec![twice], rejected("broken")),
        (vec![Entry::unicode(b"_._/x", "é.é/x".as_bytes())], Ok(())),
        (
            vec![Entry::unicode(b"??/x", "．．/x".as_bytes())],
            rejected("entry-name"),
        ),
        (
            vec![
                Entry::unicode(b"\x82.csv", "é.csv".as_bytes()),
                Entry::unicode(b"\x8a.csv", "É.csv".as_bytes()),
            ],
            rejected("duplicate-entry"),
        ),
    ] {
        assert_eq!(verdict(&zip(&entries)), wanted);
    }
    let xceed = Entry {
        extra: field(0x554e, b"NUCX\x01\0a\0"),
        ..Entry::of(b"a.csv")
    };
    assert_eq!(
        verdict(&zip(std::slice::from_ref(&xceed))),
        rejected("unread")
    );
    assert_eq!(judge(r#"{"allow-unread": true}"#, &zip(&[xceed])), Ok(()));
}

#[test]
fn a_zip_entry_is_packed_as_its_list_says() {
    let packed = Entry {
        listed_method: 8,
        ..Entry::of(b"a.csv")
    };
    let encrypted = Entry {
        listed_flags: 1,
        ..Entry::of(b"a.csv")
    };
    let encoded = Entry {
        listed_flags: 0x800,
        ..Entry::of("ä.csv".as_bytes())
    };
    for entry in [packed, encrypted, encoded] {
        assert_eq!(verdict(&zip(&[entry])), rejected("overlap"));
    }
}

#[test]
fn a_link_in_a_zip_is_one_whatever_made_it() {
    for host in [0, 3, 7, 19] {
        for (mode, wanted) in [
            (0o100_644, Ok(())),
            (0o040_755, Ok(())),
            (0, Ok(())),
            (0o120_777, rejected("link")),
            (0o060_644, rejected("link")),
            (0o020_644, rejected("link")),
            // Read from a pipe, as `cat a.csv | zip a.zip -` does.
            (0o010_644, Ok(())),
        ] {
            let entry = Entry {
                host,
                attributes: mode << 16,
                ..Entry::of(b"a")
            };
            assert_eq!(verdict(&zip(&[entry])), wanted, "{host} {mode:o}");
        }
    }
    let in_front = Entry {
        extra: field(0x6c78, &[4, 0, 0, 0xff, 0xa1]),
        ..Entry::of(b"a")
    };
    assert_eq!(
        verdict(&zip(std::slice::from_ref(&in_front))),
        rejected("link")
    );
    let in_list = Entry {
        extra: Vec::new(),
        listed_extra: in_front.extra.clone(),
        ..Entry::of(b"a")
    };
    let and_again = Entry {
        extra: [in_front.extra, field(0x6c78, &[0])].concat(),
        ..Entry::of(b"a")
    };
    for entry in [in_list, and_again] {
        assert_eq!(verdict(&zip(&[entry])), rejected("link"));
    }
}

#[test]
fn the_list_of_a_zip_is_the_one_that_its_end_means() {
    // An entry holds another list, in which the same data has another name.
    let hidden = Zip::default().add(&Entry::of(b"../../evil.sh")).list;
    let hiding = Entry {
        content: hidden.clone(),
        ..Entry::of(b"a")
    };
    let archive = || Zip::default().add(&hiding);
    let began = length_32(&archive().bytes[..archive().bytes.len() - hidden.len()]);
    let body = archive().end_with(length_32(&hidden), began, b"");
    assert_eq!(verdict(&body), rejected("overlap"));
    let shifted = (u32::from_le_bytes(length_32(&archive().bytes)) - 1).to_le_bytes();
    let body = archive().end_with(length_32(&archive().list), shifted, b"");
    assert_eq!(verdict(&body), rejected("overlap"));
    let (bytes, began) = (length_32(&archive().list), length_32(&archive().bytes));
    assert_eq!(verdict(&archive().end_with(bytes, began, b"notes")), Ok(()));
    let comment = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let body = archive().end_with(bytes, began, &comment);
    assert_eq!(verdict(&body), rejected("overlap"));
}

#[test]
fn the_end_of_a_zip_with_64_bits_means_its_list_too() {
    let archive = || Zip::default().add(&Entry::of(b"a.csv"));
    let made = |began: u64, locator: u64| {
        let Zip { bytes, list, .. } = archive();
        let size = list.len() as u64;
        let end_64 = [
            b"PK\x06\x06",
            &44u64.to_le_bytes()[..],
            &[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &1u64.to_le_bytes(),
            &1u64.to_le_bytes(),
            &size.to_le_bytes(),
            &began.to_le_bytes(),
        ];
        let found = [
            b"PK\x06\x07\0\0\0\0",
            &locator.to_le_bytes()[..],
            &1u32.to_le_bytes(),
        ];
        let end = [&b"PK\x05\x06\0\0\0\0"[..], &[0xff; 12], &[0; 2]].concat();
        [bytes, list, end_64.concat(), found.concat(), end].concat()
    };
    let began = archive().bytes.len() as u64;
    let end = began + archive().list.len() as u64;
    assert_eq!(verdict(&made(began, end)), Ok(()));
    assert_eq!(verdict(&made(began - 1, end)), rejected("overlap"));
    assert_eq!(verdict(&made(began, end - 1)), rejected("overlap"));
}

#[test]
fn nothing_else_looks_like_the_end_of_a_zip() {
    let archive = || Zip::default().add(&Entry::of(b"a.csv"));
    let (bytes, began) = (length_32(&archive().list), length_32(&archive().bytes));
    // The length of the comment and its beginning are the signature of another end.
    for (length, begins) in [(0x4b50, &b"\x05\x06"[..]), (0x5001, b"K\x05\x06")] {
        let mut comment = begins.to_vec();
        comment.resize(length, 0);
        let body = archive().end_with(bytes, began, &comment);
        assert_eq!(verdict(&body), rejected("overlap"));
    }
    // Where programs look for the record that leads to the end of 64 bits, another field has one.
    let locator = [&b"PK\x06\x07"[..], &[0; 16]].concat();
    let hiding = Entry {
        listed_extra: field(0x9999, &locator),
        ..Entry::of(b"a.csv")
    };
    assert_eq!(verdict(&zip(&[hiding])), rejected("overlap"));
    // Records that nobody writes any more, in which programs that read a stream find entries.
    for signature in [b"PK\x05\x05", b"PK\x06\x08"] {
        let between = Entry {
            behind: [&signature[..], &[0; 4]].concat(),
            ..Entry::of(b"a.csv")
        };
        assert_eq!(verdict(&zip(&[between])), rejected("broken"));
    }
    let padded = [zip(&[Entry::of(b"a.csv")]), vec![0; 5_000]].concat();
    assert_eq!(verdict(&padded), Ok(()));
    let behind = [zip(&[Entry::of(b"a.csv")]), vec![0; 5_000], vec![1]].concat();
    assert_eq!(verdict(&behind), rejected("broken"));
}

#[test]
fn what_is_stored_has_its_size_in_front() {
    let descriptor = |size: u32| {
        let size = size.to_le_bytes();
        [&b"PK\x07\x08\0\0\0\0"[..], &size, &size].concat()
    };
    let open = |content: &[u8], told: u32| Entry {
        flags: 8,
        listed_flags: 8,
        content: content.to_vec(),
        told: Some(told),
        behind: descriptor(u32::try_from(content.len()).expect("is short")),
        ..Entry::of(b"a.csv")
    };
    // As zip writes an empty file into a pipe.
    assert_eq!(verdict(&zip(&[open(b"", 0)])), Ok(()));
    assert_eq!(verdict(&zip(&[open(b"a,b\n", 0)])), rejected("broken"));
    assert_eq!(verdict(&zip(&[open(b"a,b\n", 4)])), rejected("broken"));
}

#[test]
fn a_zip_has_no_folder_with_content_and_names_are_compared_in_their_encoding() {
    let content = || b"a,b\n".to_vec();
    let folder = |name: &[u8], attributes: u32| Entry {
        attributes,
        content: content(),
        ..Entry::of(name)
    };
    for entry in [
        folder(b"d", 0o040_755 << 16),
        folder(b"d", 0x10),
        folder(b"d/", 0),
        folder(b"d\\", 0),
    ] {
        assert_eq!(verdict(&zip(&[entry])), rejected("broken"));
    }
    let in_unicode = |name: &str| Entry {
        flags: 0x800,
        listed_flags: 0x800,
        ..Entry::of(name.as_bytes())
    };
    for (one, other) in [
        (Entry::of(b"\x94.csv"), in_unicode("ö.csv")),
        (Entry::of("ö.csv".as_bytes()), in_unicode("├╢.csv")),
        (Entry::of(b"a.csv"), Entry::of(b"a.csv;1")),
    ] {
        assert_eq!(verdict(&zip(&[one, other])), rejected("duplicate-entry"));
    }
    let forbidden = judge(
        r#"{"forbid-extensions": ["exe"]}"#,
        &zip(&[Entry::of(b"a.exe;1")]),
    );
    assert_eq!(forbidden, rejected("forbidden-entry"));
}

/// A block of 512 bytes before an entry.
fn header(name: &[u8], kind: u8, size: usize, magic: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, &name[..name.len().min(100)]);
    put(100, b"0000644\x000000000\x000000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0        ");
    put(156, &[kind]);
    put(257, magic);
    put(345, prefix);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

const POSIX: &[u8] = b"ustar\x0000";
const GNU: &[u8] = b"ustar  \0";

fn entry(name: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let mut entry = header(name, kind, content.len(), POSIX, b"");
    entry.extend(content);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn pax(kind: u8, pairs: &[(&str, &str)]) -> Vec<u8> {
    let records = pairs.iter().map(|(key, value)| {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len();
        while length != rest.len() + length.to_string().len() {
            length = rest.len() + length.to_string().len();
        }
        format!("{length}{rest}")
    });
    entry(b"pax", kind, records.collect::<String>().as_bytes())
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

const EVIL: &str = "../../evil.sh";

#[test]
#[expect(clippy::too_many_lines, reason = "it is one table")]
fn a_name_in_a_tar_is_the_same_wherever_it_is() {
    let long = "d/".repeat(60) + "a.csv";
    let (long_entry, ok) = (
        entry(long.as_bytes(), b'0', b"1"),
        entry(b"ok.csv", b'0', b"1"),
    );
    let gnu = |name: &str| entry(b"././@LongLink", b'L', format!("{name}\0").as_bytes());
    for (entries, wanted) in [
        (vec![gnu(&long), long_entry.clone()], Ok(())),
        (
            vec![pax(b'x', &[("path", &long)]), long_entry.clone()],
            Ok(()),
        ),
        (
            vec![
                pax(b'x', &[("path", &long)]),
                gnu(&long),
                long_entry.clone(),
            ],
            Ok(()),
        ),
        (
            vec![
                pax(b'x', &[("path", "größe.csv")]),
                entry(b"gr??e.csv", b'0', b"1"),
            ],
            Ok(()),
        ),
        (
            vec![pax(b'g', &[("comment", "a commit")]), ok.clone()],
            Ok(()),
        ),
        // A pax name before a GNU one, and the other way round.
        (
            vec![pax(b'x', &[("path", "ok.csv")]), gnu(EVIL), ok.clone()],
            rejected("entry-name"),
        ),
        (
            vec![gnu(EVIL), pax(b'x', &[("path", "ok.csv")]), ok.clone()],
            rejected("entry-name"),
        ),
        (
            vec![gnu(EVIL), gnu("ok.csv"), ok.clone()],
            rejected("broken"),
        ),
        (
            vec![pax(b'x', &[("path", EVIL), ("path", "ok.csv")]), ok.clone()],
            rejected("entry-name"),
        ),
        // For all entries that follow.
        (
            vec![pax(b'g', &[("path", EVIL)]), ok.clone()],
            rejected("broken"),
        ),
        (
            vec![pax(b'g', &[("size", "0")]), ok.clone()],
            rejected("broken"),
        ),
        (
            vec![pax(b'g', &[("linkpath", "a")]), ok.clone()],
            rejected("broken"),
        ),
        // Solaris.
        (
            vec![pax(b'X', &[("path", EVIL)]), ok.clone()],
            rejected("entry-name"),
        ),
        // The header has room for the name, and has another one.
        (
            vec![
                pax(b'x', &[("path", "ok.csv")]),
                entry(b"evil.sh", b'0', b"1"),
            ],
            rejected("entry-name"),
        ),
        (
            vec![
                pax(b'x', &[("path", "größe.csv")]),
                entry(EVIL.as_bytes(), b'0', b"1"),
            ],
            rejected("entry-name"),
        ),
        // A size that only some programs know.
        (
            vec![pax(b'x', &[("size", "0")]), entry(b"ok.csv", b'0', b"1")],
            rejected("declared-size"),
        ),
        // Python takes this for a prefix, others do not.
        (
            vec![header(b"evil.sh", b'0', 0, GNU, b"../..")],
            rejected("entry-name"),
        ),
        (
            vec![header(b"evil.sh", b'0', 0, b"", b"../..")],
            rejected("entry-name"),
        ),
        (
            vec![header(b"ok.csv", b'0', 0, GNU, b"14371234567")],
            Ok(()),
        ),
        (vec![header(b"ok.csv", b'0', 0, POSIX, b"a/b")], Ok(())),
        // Some programs read only the last header of a kind.
        (
            vec![
                pax(b'x', &[("path", "größe.csv")]),
                pax(b'x', &[("atime", "1")]),
                entry(b"evil.sh", b'0', b""),
            ],
            rejected("broken"),
        ),
        (
            vec![
                pax(b'x', &[("path", "größe.csv")]),
                pax(b'X', &[("atime", "1")]),
                entry(b"evil.sh", b'0', b""),
            ],
            rejected("broken"),
        ),
        (
            vec![
                pax(b'x', &[("path", "größe.csv")]),
                pax(b'g', &[("comment", "1")]),
                entry(b"evil.sh", b'0', b""),
            ],
            rejected("broken"),
        ),
        (vec![pax(b'x', &[("path", "a.csv")])], rejected("broken")),
        (
            vec![entry(b"././@LongLink", b'L', b""), ok.clone()],
            rejected("broken"),
        ),
        (
            vec![header(b"x.csv", b'0', 0, GNU, b"dir")],
            rejected("entry-name"),
        ),
        (
            vec![header(b"x.csv", b'0', 0, b"", b".ssh")],
            rejected("entry-name"),
        ),
        // Most programs end at a block of zeros.
        (
            vec![ok.clone(), vec![0; 512], entry(b"b.csv", b'0', b"")],
            rejected("broken"),
        ),
        (
            vec![entry(b"d/", b'5', b""), entry(b"d/", b'5', b"")],
            Ok(()),
        ),
        // Python reads the content of a folder as entries, others do not.
        (
            vec![entry(b"d", b'5', &entry(EVIL.as_bytes(), b'0', b""))],
            rejected("broken"),
        ),
        (
            vec![entry(b"d/", 0, &entry(EVIL.as_bytes(), b'0', b""))],
            rejected("broken"),
        ),
        (vec![entry(b"d/", b'5', b"")], Ok(())),
    ] {
        assert_eq!(verdict(&tar(&entries)), wanted);
    }
}

/// A header with another text in one of its fields, and the checksum that fits it.
fn changed(mut block: Vec<u8>, at: usize, text: &[u8]) -> Vec<u8> {
    block[at..at + text.len()].copy_from_slice(text);
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

#[test]
fn a_tar_is_one_to_whatever_program_reads_it() {
    let evil = entry(EVIL.as_bytes(), b'0', b"");
    let plain = header(b"\xc3\xb6.csv", b'0', 0, POSIX, b"");
    let unnamed = changed(pax(b'x', &[("path", EVIL)]), 0, b"\0\0\0");
    let mut signed = changed(plain.clone(), 257, &[0; 8]);
    let sum: i64 = signed.iter().enumerate().fold(0, |sum, (at, byte)| {
        let byte = if (148..156).contains(&at) {
            b' '
        } else {
            *byte
        };
        sum + i64::from(byte.cast_signed())
    });
    signed[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    for (entries, wanted) in [
        (vec![unnamed, entry(b"ok.csv", b'0', b"")], "broken"),
        (vec![signed, evil.clone()], "broken"),
        (vec![vec![0; 512], evil.clone()], "broken"),
        // Python stops at a header with a number that it cannot read, others do not.
        (
            vec![
                entry(b"ok.csv", b'0', b""),
                changed(plain.clone(), 136, b"12 34\0"),
            ],
            "broken",
        ),
        (
            vec![changed(plain.clone(), 124, b"\x000000000005\0")],
            "broken",
        ),
        (vec![changed(plain.clone(), 124, b"            ")], "broken"),
    ] {
        assert_eq!(verdict(&tar(&entries)), rejected(wanted));
    }
    // Every program takes one block of zeros for the end.
    let body = [plain, vec![0; 512]].concat();
    assert_eq!(verdict(&body), Ok(()));
    for begin in [
        &b"070701"[..],
        b"xar!\0",
        b"\x5d\0\0\x80",
        b"\x50\x2a\x4d\x18",
    ] {
        assert_eq!(verdict(&[begin, &[b'a'; 600]].concat()), rejected("unread"));
    }
}

#[test]
fn a_gzip_has_no_member_that_only_some_programs_see() {
    let member = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";
    let (two, zeros) = (member.repeat(2), [0; 512]);
    assert_eq!(verdict(&two), Ok(()));
    assert_eq!(verdict(&[&member[..], &zeros].concat()), Ok(()));
    assert_eq!(
        verdict(&[&member[..], &zeros, member].concat()),
        rejected("broken")
    );
}

#[test]
fn a_hard_link_leads_nowhere_else_even_where_links_are_allowed() {
    let allowed = r#"{"allow-links": true}"#;
    let named = |name: &[u8], kind: u8, target: &[u8]| {
        changed(header(name, kind, 0, POSIX, b""), 157, target)
    };
    let link = |kind: u8, target: &[u8]| named(b"l", kind, target);
    for (entries, wanted) in [
        (vec![link(b'1', b"a.csv")], Ok(())),
        (vec![link(b'2', b"../a.csv")], Ok(())),
        (
            vec![link(b'1', b"../../etc/passwd")],
            rejected("entry-name"),
        ),
        (
            vec![pax(b'x', &[("linkpath", "a.csv")]), link(b'1', b"b.csv")],
            rejected("entry-name"),
        ),
        (
            vec![named(b"s/", b'2', b"/etc"), entry(b"s/passwd", b'0', b"1")],
            rejected("duplicate-entry"),
        ),
        (
            vec![named(b"s", b'2', b"/etc"), link(b'1', b"s/hostname")],
            rejected("link"),
        ),
        // A file behind a link would be written to where that leads.
        (
            vec![link(b'2', b"/etc"), entry(b"l/passwd", b'0', b"1")],
            rejected("duplicate-entry"),
        ),
    ] {
        assert_eq!(judge(allowed, &tar(&entries)), wanted);
    }
}

#[test]
fn names_that_a_file_system_does_not_distinguish_are_duplicates() {
    for (one, other) in [
        ("a.csv", "./a.csv"),
        ("d/a.csv", "d//a.csv"),
        ("d/a.csv", "d\\a.csv"),
        ("a.csv", "A.CSV"),
        ("gr\u{f6}\u{df}e.csv", "gro\u{308}\u{df}e.csv"),
        ("a.csv", "a.csv."),
        ("a", "a/b.csv"),
        ("A/b.csv", "a"),
    ] {
        let (one, other) = (one.as_bytes(), other.as_bytes());
        let zipped = zip(&[Entry::of(one), Entry::of(other)]);
        assert_eq!(verdict(&zipped), rejected("duplicate-entry"));
        let archived = tar(&[entry(one, b'0', b"1"), entry(other, b'0', b"1")]);
        assert_eq!(verdict(&archived), rejected("duplicate-entry"));
    }
}

#[test]
fn entries_of_macos_are_a_note() {
    let names = ["a.csv", "__MACOSX/._a.csv", "d/.DS_Store", "d/._b.csv"];
    let body = zip(&names.map(|name| Entry::of(name.as_bytes())));
    testing::take_findings();
    assert_eq!(verdict(&body), Ok(()));
    let findings = testing::take_findings();
    let [note] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(note.rule, "system-entry");
    assert!(
        note.message.starts_with("3 of its entries"),
        "{}",
        note.message
    );
}
