//! What a form says.

use axum::http::StatusCode;

use crate::problem::Problem;

/// The fields of a form, in their order; a name may come more than once.
#[derive(Debug, Default, Clone)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads an encoded form.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        serde_urlencoded::from_bytes(bytes)
            .map(Self)
            .map_err(|error| Problem::of(StatusCode::BAD_REQUEST, &error))
    }

    /// Returns a field; an empty one is none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// Returns a field that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.get(name).ok_or_else(|| Problem::unusable(format!("The field {name} is missing.")))
    }

    /// Returns every value of a field.
    pub(crate) fn all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        let name = name.to_owned();
        self.0.iter().filter(move |(its, _)| *its == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_come_more_than_once_and_an_empty_field_is_none() {
        let fields = Fields::read(b"key=a%20b&key=c&note=&moment=latest").unwrap();
        assert_eq!(fields.all("key").collect::<Vec<_>>(), ["a b", "c"]);
        assert_eq!(fields.get("note"), None);
        assert_eq!(fields.required("moment").unwrap(), "latest");
        assert_eq!(fields.required("source").unwrap_err().status, 422);
    }
}
