//! As much of JSON (RFC 8259) as is printed here.

use std::fmt;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Bool(bool),
    List(Vec<Self>),
    Null,
    Number(f64),
    Object(Vec<(String, Self)>),
    Text(String),
}

impl Json {
    /// An object of these members, in this order.
    pub(crate) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Null if there is none.
    pub(crate) fn optional(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Number)
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Null => f.write_str("null"),
            // JSON has no infinity; four decimals are more than anything here is good for.
            Self::Number(value) if value.is_finite() => {
                write!(f, "{}", (value * 1e4).round() / 1e4)
            }
            Self::Number(_) => f.write_str("null"),
            Self::Text(text) => quoted(f, text),
            Self::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "," })?;
                    quoted(f, name)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_json() {
        let value = Json::object([
            ("a \"b\"\n", Json::List(vec![Json::Number(1.5), Json::Number(f64::NAN)])),
            ("c", Json::Bool(true)),
            ("d", Json::text("ü\\")),
            ("e", Json::optional(None)),
        ]);
        let expected = r#"{"a \"b\"\u000a":[1.5,null],"c":true,"d":"ü\\","e":null}"#;
        assert_eq!(value.to_string(), expected);
    }
}
