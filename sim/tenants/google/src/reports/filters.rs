//! What a reader of the log does not want to see.

use std::cmp::Ordering;

use crate::{
    audit::{Parameter, ParameterValue},
    refusal::Refusal,
};

/// A condition on a parameter of an event: `doc_id==12345`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Condition {
    name: String,
    operator: &'static str,
    value: String,
}

impl Condition {
    /// Reads `filters`: conditions with commas between them.
    pub(super) fn list(text: &str) -> Result<Vec<Self>, Refusal> {
        text.split(',').filter(|part| !part.is_empty()).map(Self::parse).collect()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        // The longer ones first, of which the shorter ones are parts.
        let found = ["==", "<>", "<=", ">=", "<", ">"].into_iter().find_map(|operator| {
            let (name, value) = text.split_once(operator)?;
            Some(Self { name: name.trim().to_owned(), operator, value: value.trim().to_owned() })
        });
        found.filter(|found| !found.name.is_empty() && !found.name.contains(['<', '>', '='])).ok_or_else(
            || {
                let mut refusal = Refusal::invalid_value(format!(
                    "Invalid value '{text}'. Values must match the form of filters."
                ));
                refusal.location = Some(&["filters", "parameter"]);
                refusal
            },
        )
    }

    /// Tells whether parameters have the one that is meant and fulfils the condition.
    pub(super) fn takes(&self, parameters: &[Parameter]) -> bool {
        let parameter = parameters.iter().find(|parameter| parameter.name == self.name);
        parameter.is_some_and(|parameter| match &parameter.value {
            ParameterValue::Text(text) => self.holds((**text).cmp(&self.value)),
            ParameterValue::Number(number) => {
                self.value.parse::<i64>().is_ok_and(|value| self.holds(number.cmp(&value)))
            }
            ParameterValue::Flag(flag) => self.holds(flag.to_string().cmp(&self.value)),
            ParameterValue::Texts(texts) => {
                let any = texts.contains(&self.value);
                if self.operator == "<>" { !any } else { self.operator == "==" && any }
            }
            ParameterValue::Messages(_) => false,
        })
    }

    fn holds(&self, order: Ordering) -> bool {
        match self.operator {
            "==" => order.is_eq(),
            "<>" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        }
    }
}

/// Reads clauses like `agentId="1" AND agentName="x"`, of which each names one of the fields given.
pub(super) fn clauses(
    parameter: &'static [&'static str; 2],
    text: &str,
    fields: &[&'static str],
) -> Result<Vec<(&'static str, String)>, Refusal> {
    let bad = || {
        let mut refusal = Refusal::invalid_value(format!("Invalid value for: {}: {text}", parameter[0]));
        refusal.location = Some(parameter);
        refusal
    };
    let clause = |clause: &str| {
        let (name, value) = clause.split_once('=')?;
        let field = fields.iter().find(|field| field.eq_ignore_ascii_case(name.trim()))?;
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some((*field, value.to_owned()))
    };
    text.split(" AND ").map(|part| clause(part).ok_or_else(bad)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_and_clauses_are_read_or_refused() {
        let read = Condition::list("a==1,b<>x y,c<=3").unwrap();
        let parts: Vec<_> = read.iter().map(|c| (c.name.as_str(), c.operator, c.value.as_str())).collect();
        assert_eq!(parts, [("a", "==", "1"), ("b", "<>", "x y"), ("c", "<=", "3")]);
        assert!(Condition::list("a=1").is_err() && Condition::list("==1").is_err());
        let fields = ["agentId", "agentName"];
        assert_eq!(
            clauses(&["agentInfoFilter", "parameter"], "agentId=\"1\" AND agentName = \"a b\"", &fields),
            Ok(vec![("agentId", "1".to_owned()), ("agentName", "a b".to_owned())])
        );
        assert!(clauses(&["agentInfoFilter", "parameter"], "agentId=1", &fields).is_err());
        assert!(clauses(&["agentInfoFilter", "parameter"], "other=\"1\"", &fields).is_err());
    }
}
