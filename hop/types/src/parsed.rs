//! The conversions of a type that is read from text, written once: serde goes through the same parser as
//! everything else.

/// For a type with `FromStr<Err = $error>` and `Display`.
macro_rules! conversions_from_text {
    ($type:ty, $error:ty) => {
        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

/// For a type that wraps its text: the text itself as `as_str` and `Display`, and the conversions.
macro_rules! wraps_text {
    ($type:ident, $error:ty) => {
        impl $type {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        crate::parsed::conversions_from_text!($type, $error);
    };
}

pub(crate) use conversions_from_text;
pub(crate) use wraps_text;
