//! Where pages begin, as text that a client hands back. Whatever it hands back, nothing breaks.

use catalog::{Direction, Place, search::InsideEdge};

use super::BrowseError;

/// Where a page of a list begins, and which way it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) direction: Direction,
    pub(super) place: String,
}

impl Cursor {
    pub(super) fn parse(text: Option<&str>) -> Result<Option<Self>, BrowseError> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        let (direction, place) = text.split_once(':').ok_or(BrowseError::Cursor)?;
        let direction = match direction {
            "f" => Direction::Forward,
            "b" => Direction::Back,
            _ => return Err(BrowseError::Cursor),
        };
        Ok(Some(Self { direction, place: place.to_owned() }))
    }

    pub(super) fn to_text(direction: Direction, place: &str) -> String {
        let direction = if direction == Direction::Forward { 'f' } else { 'b' };
        format!("{direction}:{place}")
    }

    /// Reads its place in a list of keys.
    pub(super) fn key_place(&self) -> Result<Place, BrowseError> {
        Place::of_text(&self.place).ok_or(BrowseError::Cursor)
    }

    /// Reads its place in a list of titles.
    pub(super) fn title_place(&self) -> Result<InsideEdge, BrowseError> {
        let (row, sorted) = self.place.split_once(':').ok_or(BrowseError::Cursor)?;
        let row = row.parse().map_err(|_| BrowseError::Cursor)?;
        Ok(InsideEdge { sorted: sorted.to_owned(), row })
    }
}

/// Writes a place in a list of titles.
pub(super) fn title_place(edge: &InsideEdge) -> String {
    format!("{}:{}", edge.row, edge.sorted)
}

/// Writes two numbers, such as a commit and a row.
pub(super) fn pair(first: u64, second: i64) -> String {
    format!("{first}:{second}")
}

/// Reads what [`pair`] wrote.
pub(super) fn read_pair(text: &str) -> Result<(u64, i64), BrowseError> {
    let (first, second) = text.split_once(':').ok_or(BrowseError::Cursor)?;
    let number = |_| BrowseError::Cursor;
    Ok((first.parse().map_err(number)?, second.parse().map_err(number)?))
}
