//! Formats of strings that are checked (JSON Schema 2020-12 validation, section 7). Others are only said.

/// One that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Date,
    Time,
    DateTime,
    Email,
    Uuid,
    Ipv4,
    Ipv6,
}

impl Format {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "date" => Self::Date,
            "time" => Self::Time,
            "date-time" => Self::DateTime,
            "email" => Self::Email,
            "uuid" => Self::Uuid,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            _ => return None,
        })
    }

    /// What it is, for a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Date => "a date like 2024-05-06",
            Self::Time => "a time like 07:08:09Z",
            Self::DateTime => "a moment like 2024-05-06T07:08:09Z",
            Self::Email => "an e-mail address",
            Self::Uuid => "a UUID",
            Self::Ipv4 => "an IPv4 address",
            Self::Ipv6 => "an IPv6 address",
        }
    }

    pub(crate) fn fits(self, text: &str) -> bool {
        match self {
            Self::Date => is_date(text),
            Self::Time => is_time(text),
            Self::DateTime => text
                .split_once(['T', 't', ' '])
                .is_some_and(|(date, time)| is_date(date) && is_time(time)),
            Self::Email => text.rsplit_once('@').is_some_and(|(local, host)| {
                let is_word = |text: &str| {
                    !text.is_empty()
                        && !text.contains(|char: char| char.is_whitespace() || char == '@')
                };
                is_word(local) && is_word(host) && !host.starts_with('.') && !host.ends_with('.')
            }),
            Self::Uuid => {
                let groups: Vec<_> = text.split('-').collect();
                let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
                lengths == [8, 4, 4, 4, 12]
                    && groups
                        .iter()
                        .all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
            }
            Self::Ipv4 => text.parse::<std::net::Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<std::net::Ipv6Addr>().is_ok(),
        }
    }
}

fn digits(text: &str, length: usize) -> Option<u32> {
    let is_number = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// `full-date` of RFC 3339.
fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let parsed = year
        .and_then(|year| digits(year, 4))
        .zip(month.and_then(|month| digits(month, 2)));
    let (Some((year, month)), Some(day), None) =
        (parsed, day.and_then(|day| digits(day, 2)), parts.next())
    else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// `full-time` of RFC 3339.
fn is_time(text: &str) -> bool {
    let is_clock = |text: &str, most: u32| {
        let parts: Vec<_> = text.split(':').map(|part| digits(part, 2)).collect();
        match parts.as_slice() {
            [Some(hour), Some(minute), Some(second)] => {
                most == 60 && *hour < 24 && *minute < 60 && *second <= 60
            }
            [Some(hour), Some(minute)] => most == 0 && *hour < 24 && *minute < 60,
            _ => false,
        }
    };
    let (time, is_zone) = match text.strip_suffix(['Z', 'z']) {
        Some(time) => (time, true),
        None => match text.rfind(['+', '-']) {
            Some(at) => (&text[..at], is_clock(&text[at + 1..], 0)),
            None => return false,
        },
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_zone && is_fraction && is_clock(clock, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        for (name, text, fits) in [
            ("date", "2024-02-29", true),
            ("date", "2023-02-29", false),
            ("date", "2024-2-29", false),
            ("time", "07:08:09Z", true),
            ("time", "07:08:09.123+02:00", true),
            ("time", "25:08:09Z", false),
            ("time", "07:08:09", false),
            ("date-time", "2024-05-06T07:08:09Z", true),
            ("date-time", "2024-05-06", false),
            ("email", "a@example.org", true),
            ("email", "a b@example.org", false),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", true),
            ("uuid", "123e4567e89b12d3a456426614174000", false),
            ("ipv4", "192.0.2.1", true),
            ("ipv6", "2001:db8::1", true),
            ("ipv6", "192.0.2.1", false),
        ] {
            let format = Format::named(name).expect("is known");
            assert_eq!(format.fits(text), fits, "{name} {text}");
        }
        assert_eq!(Format::named("iri"), None);
    }
}
