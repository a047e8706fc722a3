use crate::Upload;

impl Upload {
    /// The value of the attribute of that name, as the client sent it.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// What stands after the last dot of the file name, in lower case; absent when there is no dot, or
    /// nothing before or after it.
    ///
    /// `Patient.CSV` has `csv`; `.profile`, `patient` and `patient.` have none.
    pub fn extension(&self) -> Option<String> {
        let (_, extension) = self.split_name()?;
        Some(extension.to_lowercase())
    }

    /// The file name without its last dot and [extension](Upload::extension); the whole name when it has
    /// no extension.
    pub fn stem(&self) -> &str {
        self.split_name().map_or(&self.filename, |(stem, _)| stem)
    }

    /// The day on which the upload was created, in UTC, as `YYYY-MM-DD`.
    pub fn received_on(&self) -> String {
        let (year, month, day) = civil(self.received_at_ms / 86_400_000);
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn split_name(&self) -> Option<(&str, &str)> {
        let (stem, extension) = self.filename.rsplit_once('.')?;
        (!stem.is_empty() && !extension.is_empty()).then_some((stem, extension))
    }
}

/// The date of a day since 1970-01-01 in the Gregorian calendar: days are counted from 1 March of year 0,
/// so that a leap day is the last of its year (Richards, "Mapping Time", 1998).
fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    let day = days_since_1970 + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (month, early) = if shifted < 10 {
        (shifted + 3, 0)
    } else {
        (shifted - 9, 1)
    };
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    (era * 400 + year_of_era + early, month, day)
}

#[cfg(test)]
mod tests {
    use crate::testing::upload;

    #[test]
    fn an_attribute_is_found_by_its_exact_name() {
        let upload = upload("x").with_attribute("cohort", "c1");
        assert_eq!(upload.attribute("cohort"), Some("c1"));
        assert_eq!(upload.attribute("Cohort"), None);
    }

    #[test]
    fn an_extension_is_what_stands_after_the_last_dot_in_lower_case() {
        for (filename, stem, extension) in [
            ("patient.csv", "patient", Some("csv")),
            ("Patient.2024.CSV", "Patient.2024", Some("csv")),
            (".profile", ".profile", None),
            ("patient", "patient", None),
            ("patient.", "patient.", None),
            ("", "", None),
        ] {
            let upload = upload(filename);
            assert_eq!(upload.stem(), stem, "{filename}");
            assert_eq!(upload.extension().as_deref(), extension, "{filename}");
        }
    }

    #[test]
    fn the_day_of_an_upload_is_that_of_the_calendar() {
        for (days, date) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (19_783, "2024-03-01"),
            (20_088, "2024-12-31"),
            (47_541, "2100-03-01"),
        ] {
            let mut upload = upload("x");
            upload.received_at_ms = days * 86_400_000 + 86_399_999;
            assert_eq!(upload.received_on(), date);
        }
    }
}
