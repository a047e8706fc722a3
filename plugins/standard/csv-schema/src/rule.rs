use portcullis_policy::Rule as Described;

/// Declares the rules once: as an enumeration, and as the policy describes them.
macro_rules! rules {
    ($($variant:ident = $id:literal, $summary:literal;)*) => {
        /// What a table can break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $summary] $variant,)*
        }

        impl Rule {
            /// All of them, in their order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];
            /// All of them, as the policy describes them.
            pub const DESCRIBED: &[Described] = &[$(Described::new($id, $summary)),*];

            /// Its name in findings.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),* }
            }
        }
    };
}

rules! {
    Table = "table", "The upload says which table it is, there is a definition for it, and the file fits it.";
    Separator = "separator", "Cells are separated by what the kind of file says.";
    Header = "header", "The first row names the columns.";
    MissingColumn = "missing-column", "Every column of the definition is there, unless it may be missing.";
    ExtraColumn = "extra-column", "There is no column that the definition does not have.";
    DuplicateColumn = "duplicate-column", "No column is there twice.";
    RaggedRow = "ragged-row", "Every row has as many cells as the header.";
    Quoting = "quoting", "Quotes stand around whole cells, and are doubled within them (RFC 4180).";
    Encoding = "encoding", "Text is UTF-8.";
    ControlCharacter = "control-character", "There are no control characters but tabs and line ends.";
    CellTooLong = "cell-too-long", "No cell is longer than 64 KiB.";
    Required = "required", "A cell has a value, unless its column says otherwise.";
    RequiredWhen = "required-when", "A cell has a value when another cell of the row asks for it.";
    ForbiddenWhen = "forbidden-when", "A cell has no value when another cell of the row forbids it.";
    Recommended = "recommended", "A cell had better have a value.";
    Id = "id", "An identifier has no spaces around it.";
    Enum = "enum", "A value is one of those that are allowed.";
    Boolean = "boolean", "A value is one of the spellings of true, false or unknown that are allowed.";
    Number = "numeric", "A value is a decimal number.";
    Integer = "integer", "A value is a whole number.";
    Year = "year", "A value is a year of four digits.";
    Date = "date", "A value is a day of the calendar, written as the definition says.";
    Range = "range", "A value lies within the range of its column.";
    NoDuplicates = "no-duplicates", "No value of the column comes twice.";
    NotChecked = "not-checked", "What the definition asks for and this policy cannot check is said.";
}
