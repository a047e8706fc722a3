//! Days as definitions write them, such as `YYYY-MM-DD`.

/// A day of the Gregorian calendar, ordered as days are: 9 bits for month and day, the year above them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(u32);

impl Day {
    fn year(self) -> u32 {
        self.0 >> 9
    }

    fn month(self) -> u32 {
        self.0 >> 5 & 15
    }

    fn of_month(self) -> u32 {
        self.0 & 31
    }
}

/// How a date is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// As the definition has it, for messages.
    written: String,
    parts: Vec<Part>,
    /// `YYYY-MM-DD`, which nearly all files have.
    is_iso: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// So many digits.
    Year,
    YearOfCentury,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// Three letters of an English month.
    MonthName,
    /// One or two digits.
    ShortMonth,
    ShortDay,
    Literal(u8),
}

/// What a definition can write, and what it stands for. Longer ones come first.
const WORDS: [(&str, Part); 10] = [
    ("YYYY", Part::Year),
    ("YY", Part::YearOfCentury),
    ("MMM", Part::MonthName),
    ("MM", Part::Month),
    ("M", Part::ShortMonth),
    ("DD", Part::Day),
    ("D", Part::ShortDay),
    ("HH", Part::Hour),
    ("mm", Part::Minute),
    ("ss", Part::Second),
];

/// The same in the words of C's `strftime`, which pandas uses.
const PERCENT: [(u8, &str); 9] = [
    (b'Y', "YYYY"),
    (b'y', "YY"),
    (b'b', "MMM"),
    (b'm', "MM"),
    (b'd', "DD"),
    (b'H', "HH"),
    (b'M', "mm"),
    (b'S', "ss"),
    (b'F', "YYYY-MM-DD"),
];

const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// Why a cell is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotADate {
    /// It is written in another way.
    Form,
    /// The calendar has no such day, or the clock no such time.
    NoSuchDay,
}

impl Format {
    /// Reads a format such as `YYYY-MM-DD`, `M/D/YYYY`, `DD-MMM-YYYY` or `YYYY-MM-DD HH:mm:ss`. In small
    /// letters alone, `yyyy-mm-dd`, it is a day; with `%` it is one of [pandas](Self::parse_percent).
    ///
    /// # Errors
    ///
    /// What is wrong with it, for whoever wrote the definition.
    pub fn parse(written: &str) -> Result<Self, String> {
        if written.contains('%') {
            return Self::parse_percent(written);
        }
        if written.contains("yy") && !written.contains("HH") {
            return Self::parse_words(&written.to_uppercase());
        }
        Self::parse_words(written)
    }

    fn parse_words(written: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some(first) = rest.bytes().next() {
            if let Some((word, part)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
                parts.push(*part);
                rest = &rest[word.len()..];
            } else if matches!(first, b'-' | b'/' | b'.' | b' ' | b':' | b'T' | b',' | b'Z') {
                parts.push(Part::Literal(first));
                rest = &rest[1..];
            } else {
                return Err(format!(
                    "the date format {written:?} is not known; use YYYY, YY, MM, M, MMM, DD, D, HH, mm, ss and - / . : T Z between them"
                ));
            }
        }
        let has = |wanted: &[Part]| parts.iter().any(|part| wanted.contains(part));
        if !has(&[Part::Year, Part::YearOfCentury])
            || !has(&[Part::Month, Part::ShortMonth, Part::MonthName])
            || !has(&[Part::Day, Part::ShortDay])
        {
            return Err(format!(
                "the date format {written:?} must have a year, a month and a day"
            ));
        }
        Ok(Self {
            written: written.to_owned(),
            parts,
            is_iso: written == "YYYY-MM-DD",
        })
    }

    /// Reads a format of pandas, such as `%Y-%m-%d`.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_percent(written: &str) -> Result<Self, String> {
        let mut words = String::new();
        let mut bytes = written.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                words.push(char::from(byte));
                continue;
            }
            let directive = bytes.next();
            let word = PERCENT.iter().find(|(known, _)| Some(*known) == directive);
            let Some((_, word)) = word else {
                return Err(format!(
                    "the date format {written:?} is not known; use %Y, %y, %m, %b, %d, %H, %M and %S"
                ));
            };
            words.push_str(word);
        }
        Self::parse_words(&words)
    }

    /// As the definition has it.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Whether it is `YYYY-MM-DD`.
    pub(crate) fn is_iso(&self) -> bool {
        self.is_iso
    }

    /// The day that a cell stands for.
    ///
    /// # Errors
    ///
    /// Why it stands for none.
    #[inline]
    pub fn read(&self, cell: &[u8]) -> Result<Day, NotADate> {
        if self.is_iso {
            iso(cell)
        } else {
            self.read_parts(cell)
        }
    }

    /// A day in this format; its time is midnight.
    pub fn write(&self, day: Day) -> String {
        let mut written = String::new();
        for part in &self.parts {
            let text = match part {
                Part::Year => format!("{:04}", day.year()),
                Part::YearOfCentury => format!("{:02}", day.year() % 100),
                Part::Month => format!("{:02}", day.month()),
                Part::ShortMonth => day.month().to_string(),
                Part::MonthName => {
                    let name = MONTHS[day.month() as usize - 1];
                    String::from_utf8_lossy(name).into_owned()
                }
                Part::Day => format!("{:02}", day.of_month()),
                Part::ShortDay => day.of_month().to_string(),
                Part::Hour | Part::Minute | Part::Second => "00".to_owned(),
                Part::Literal(literal) => char::from(*literal).to_string(),
            };
            written.push_str(&text);
        }
        written
    }

    fn read_parts(&self, cell: &[u8]) -> Result<Day, NotADate> {
        let mut rest = cell;
        let (mut year, mut month, mut day) = (0, 0, 0);
        let mut time_is_right = true;
        for part in &self.parts {
            match part {
                Part::Year => year = number(&mut rest, 4, 4)?,
                // As POSIX has it: 69 to 99 are of the 20th century.
                Part::YearOfCentury => {
                    let of_century = number(&mut rest, 2, 2)?;
                    year = of_century + if of_century < 69 { 2000 } else { 1900 };
                }
                Part::Month => month = number(&mut rest, 2, 2)?,
                Part::ShortMonth => month = number(&mut rest, 1, 2)?,
                Part::MonthName => month = month_name(&mut rest)?,
                Part::Day => day = number(&mut rest, 2, 2)?,
                Part::ShortDay => day = number(&mut rest, 1, 2)?,
                Part::Hour => time_is_right &= number(&mut rest, 2, 2)? < 24,
                // A leap second is one.
                Part::Minute => time_is_right &= number(&mut rest, 2, 2)? < 60,
                Part::Second => time_is_right &= number(&mut rest, 2, 2)? <= 60,
                Part::Literal(literal) => {
                    let (first, after) = rest.split_first().ok_or(NotADate::Form)?;
                    if first != literal {
                        return Err(NotADate::Form);
                    }
                    rest = after;
                }
            }
        }
        if !rest.is_empty() {
            return Err(NotADate::Form);
        }
        if !time_is_right {
            return Err(NotADate::NoSuchDay);
        }
        calendar(year, month, day)
    }
}

/// Whether a cell is a day of the form `YYYY-MM-DD`.
#[inline]
pub(crate) fn is_iso(cell: &[u8]) -> bool {
    // These days are in every month: the calendar is asked for the last ones of a month alone.
    iso_parts(cell).is_some_and(|[year, month, day]| {
        (1..=12).contains(&month) && ((1..=28).contains(&day) || calendar(year, month, day).is_ok())
    })
}

/// A day of the form `YYYY-MM-DD`.
#[inline]
pub(crate) fn iso(cell: &[u8]) -> Result<Day, NotADate> {
    let [year, month, day] = iso_parts(cell).ok_or(NotADate::Form)?;
    calendar(year, month, day)
}

/// Year, month and day of a cell of the form `YYYY-MM-DD`, be they of the calendar or not.
#[inline]
fn iso_parts(cell: &[u8]) -> Option<[u32; 3]> {
    let (front, back) = cell.split_first_chunk::<8>()?;
    let back = <[u8; 2]>::try_from(back).ok()?;
    // All at once: digits become 0 to 9, dashes 0; the sum carries into the highest bit of those that do not.
    let front = u64::from_le_bytes(*front) ^ u64::from_le_bytes(*b"0000-00-");
    let sum = front.wrapping_add(0x7f76_767f_7676_7676);
    let [d1, d2] = back.map(|digit| u32::from(digit.wrapping_sub(b'0')));
    let has_form = (front | sum) & 0x8080_8080_8080_8080 == 0 && d1 <= 9 && d2 <= 9;
    let [y1, y2, y3, y4, _, m1, m2, _] = front.to_le_bytes().map(u32::from);
    has_form.then_some([
        y1 * 1000 + y2 * 100 + y3 * 10 + y4,
        m1 * 10 + m2,
        d1 * 10 + d2,
    ])
}

#[inline]
fn calendar(year: u32, month: u32, day: u32) -> Result<Day, NotADate> {
    const DAYS: [u32; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap =
        || year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut days = DAYS.get(month as usize).copied().unwrap_or(0);
    if month == 2 && day == 29 && is_leap() {
        days = 29;
    }
    if (1..=days).contains(&day) {
        Ok(Day(year << 9 | month << 5 | day))
    } else {
        Err(NotADate::NoSuchDay)
    }
}

fn number(rest: &mut &[u8], least: usize, most: usize) -> Result<u32, NotADate> {
    let digits = rest
        .iter()
        .take(most)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits < least {
        return Err(NotADate::Form);
    }
    let (number, after) = rest.split_at(digits);
    *rest = after;
    Ok(number
        .iter()
        .fold(0, |sum, byte| sum * 10 + u32::from(byte - b'0')))
}

fn month_name(rest: &mut &[u8]) -> Result<u32, NotADate> {
    let (name, after) = rest.split_at_checked(3).ok_or(NotADate::Form)?;
    let month = MONTHS
        .iter()
        .zip(1..)
        .find(|(month, _)| month.eq_ignore_ascii_case(name));
    *rest = after;
    month.map(|(_, nth)| nth).ok_or(NotADate::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_one_of_the_calendar_in_the_given_form() {
        for (format, cell, expected) in [
            ("YYYY-MM-DD", "2024-02-29", None),
            ("YYYY-MM-DD", "2023-02-29", Some(NotADate::NoSuchDay)),
            ("YYYY-MM-DD", "1900-02-29", Some(NotADate::NoSuchDay)),
            ("YYYY-MM-DD", "2000-02-29", None),
            ("YYYY-MM-DD", "2024-13-01", Some(NotADate::NoSuchDay)),
            ("YYYY-MM-DD", "2024-00-10", Some(NotADate::NoSuchDay)),
            ("YYYY-MM-DD", "2024-1-1", Some(NotADate::Form)),
            ("YYYY-MM-DD", "2024/01/01", Some(NotADate::Form)),
            ("YYYY-MM-DD", "2024-01-0a", Some(NotADate::Form)),
            ("YYYY-MM-DD", " 2024-01-01", Some(NotADate::Form)),
            ("M/D/YYYY", "2/9/2024", None),
            ("M/D/YYYY", "12/31/2024", None),
            ("MM/DD/YYYY", "2/9/2024", Some(NotADate::Form)),
            ("DDMMMYYYY", "04jul2021", None),
            ("yyyy-mm-dd", "2021-12-31", None),
            ("mm/dd/yy", "12/31/21", None),
            ("%m/%d/%Y", "12/31/2021", None),
            ("DD-MMM-YY", "31-APR-21", Some(NotADate::NoSuchDay)),
            ("YYYY-MM-DD HH:mm:ss", "2024-01-01 23:59:60", None),
            (
                "YYYY-MM-DD HH:mm",
                "2024-01-01 24:00",
                Some(NotADate::NoSuchDay),
            ),
            ("YYYY-MM-DD HH:mm", "2024-01-01", Some(NotADate::Form)),
        ] {
            let format = Format::parse(format).expect("a format");
            assert_eq!(format.read(cell.as_bytes()).err(), expected, "{cell}");
        }
    }

    #[test]
    fn the_short_way_agrees_with_the_long_one() {
        for cell in [
            "2024-02-29",
            "2023-02-29",
            "2024-01-31",
            "2024-04-31",
            "2024-13-01",
            "2024-01-00",
        ] {
            assert_eq!(
                is_iso(cell.as_bytes()),
                iso(cell.as_bytes()).is_ok(),
                "{cell}"
            );
        }
        for place in 0..10 {
            for byte in 0..=u8::MAX {
                let mut cell = *b"2024-10-12";
                cell[place] = byte;
                assert_eq!(is_iso(&cell), iso(&cell).is_ok(), "{byte} at {place}");
            }
        }
        assert!(!is_iso(b"2024-10-1") && !is_iso(b"2024-10-123") && !is_iso(b""));
    }

    #[test]
    fn days_are_ordered_and_pandas_formats_are_read() {
        let format = Format::parse_percent("%d.%m.%Y").expect("a format");
        assert_eq!(format.written(), "DD.MM.YYYY");
        let day = |cell: &str| format.read(cell.as_bytes()).expect("a day");
        assert!(day("31.12.1999") < day("01.01.2000"));
        assert!(day("02.01.2000") > day("01.01.2000"));
        assert_eq!(format.write(day("02.01.2000")), "02.01.2000");
    }

    #[test]
    fn a_format_that_is_not_known_is_refused() {
        for format in ["", "YYYY", "YYYY-QQ-DD", "MM-DD"] {
            assert!(Format::parse(format).is_err(), "{format}");
        }
        assert!(Format::parse_percent("%Y-%j").is_err());
    }
}
