//! What an owner expects a question to answer.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An expectation that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} compares with no number: write > 0, >= 10, < 5, <= 5, != 0, or the exact text")]
pub struct ExpectationError {
    text: String,
}

/// What a question must answer: an exact text, or a comparison with a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Expectation {
    /// This text.
    Text(String),
    /// A number that compares so.
    Number {
        /// How it compares.
        sign: Sign,
        /// The number, as it was written.
        number: String,
    },
}

/// How an answer compares with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `!=`
    Other,
}

/// The signs as they are written, the longer ones first.
const SIGNS: [(&str, Sign); 5] = [
    (">=", Sign::AtLeast),
    ("<=", Sign::AtMost),
    ("!=", Sign::Other),
    (">", Sign::Above),
    ("<", Sign::Below),
];

impl Expectation {
    /// Returns whether an answer is as expected; `None` is NULL, or no row.
    pub fn holds(&self, answer: Option<&str>) -> bool {
        match (self, answer) {
            (_, None) => false,
            (Self::Text(text), Some(answer)) => text == answer,
            (Self::Number { sign, number }, Some(answer)) => {
                let Some(order) = Decimal::of(answer).zip(Decimal::of(number)).map(|(a, b)| a.cmp(&b)) else {
                    return false;
                };
                match sign {
                    Sign::Above => order.is_gt(),
                    Sign::AtLeast => order.is_ge(),
                    Sign::Below => order.is_lt(),
                    Sign::AtMost => order.is_le(),
                    Sign::Other => order.is_ne(),
                }
            }
        }
    }
}

/// A decimal number of any length: what a database counts may not fit into a float.
#[derive(PartialEq, Eq)]
struct Decimal<'t> {
    negative: bool,
    whole: &'t str,
    part: &'t str,
}

impl<'t> Decimal<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let fits = !whole.is_empty() && [whole, part].iter().all(|p| p.bytes().all(|b| b.is_ascii_digit()));
        let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
        let negative = negative && !(whole.is_empty() && part.is_empty());
        fits.then_some(Self { negative, whole, part })
    }

    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let size = |one: &Self, two: &Self| {
            (one.whole.len(), one.whole, one.part).cmp(&(two.whole.len(), two.whole, two.part))
        };
        match (self.negative, other.negative) {
            (false, false) => size(self, other),
            (true, true) => size(other, self),
            (true, false) => std::cmp::Ordering::Less,
            (false, true) => std::cmp::Ordering::Greater,
        }
    }
}

impl FromStr for Expectation {
    type Err = ExpectationError;

    fn from_str(text: &str) -> Result<Self, ExpectationError> {
        let Some((written, sign)) = SIGNS.into_iter().find(|(written, _)| text.starts_with(written)) else {
            return Ok(Self::Text(text.to_owned()));
        };
        let number = text[written.len()..].trim();
        if Decimal::of(number).is_none() {
            return Err(ExpectationError { text: text.to_owned() });
        }
        Ok(Self::Number { sign, number: number.to_owned() })
    }
}

impl TryFrom<String> for Expectation {
    type Error = ExpectationError;

    fn try_from(text: String) -> Result<Self, ExpectationError> {
        text.parse()
    }
}

impl From<Expectation> for String {
    fn from(expectation: Expectation) -> Self {
        expectation.to_string()
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number { sign, number } => {
                let written =
                    SIGNS.iter().find(|(_, known)| known == sign).map_or("", |(written, _)| written);
                write!(f, "{written} {number}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_compared_as_a_number_or_as_text() {
        let holds =
            |expected: &str, answer: &str| expected.parse::<Expectation>().unwrap().holds(Some(answer));
        assert!(holds("> 0", "1") && !holds("> 0", "0") && !holds("> 0", "-3") && holds(">=10", "10.0"));
        assert!(
            holds("< 5", "4.999") && holds("<= -1", "-1") && holds("!= 0", "0.1") && !holds("!= 0", "-0")
        );
        assert!(holds("t", "t") && !holds("t", "true") && holds("", ""));
        assert!(holds("> 9007199254740992", "9007199254740993"), "more than a float can tell apart");
        assert!(!holds("> 0", "many") && !holds("> 0", "") && !holds("> 0", "1e9"));
        assert!(!"> 0".parse::<Expectation>().unwrap().holds(None));
        assert!("> many".parse::<Expectation>().is_err());
    }

    proptest! {
        #[test]
        fn numbers_compare_as_numbers(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
            let holds = |sign: &str| format!("{sign} {b}").parse::<Expectation>().unwrap().holds(Some(&a.to_string()));
            prop_assert_eq!(holds(">"), a > b);
            prop_assert_eq!(holds("<="), a <= b);
            prop_assert_eq!(holds("!="), a != b);
        }
    }
}
