//! What somebody may do with a calendar.

/// From nothing to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    None,
    FreeBusyReader,
    Reader,
    Writer,
    Owner,
}

impl Role {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "none" => Self::None,
            "freeBusyReader" => Self::FreeBusyReader,
            "reader" => Self::Reader,
            "writer" => Self::Writer,
            "owner" => Self::Owner,
            _ => return None,
        })
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FreeBusyReader => "freeBusyReader",
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Owner => "owner",
        }
    }
}
