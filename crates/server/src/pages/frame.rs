//! What is around every page: where one can go, who one is.

use access::{Permission, SignedIn};
use axum::http::HeaderMap;

use crate::{
    assets,
    site::Site,
    visitor::{Visitor, cookie},
};

/// A part of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// The three questions.
    Posture,
    /// What looks like a wipe.
    Incidents,
    /// What is stored.
    Browse,
    /// What waits for approval.
    Cases,
    /// The protected systems.
    Sources,
    /// Proofs.
    Drills,
    /// What was done.
    Activity,
    /// The examination of the installation.
    Doctor,
    /// Who may do what.
    People,
}

impl Section {
    const ALL: [Self; 9] = [
        Self::Posture,
        Self::Incidents,
        Self::Browse,
        Self::Cases,
        Self::Sources,
        Self::Drills,
        Self::Activity,
        Self::Doctor,
        Self::People,
    ];

    /// Returns its name for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Posture => "Posture",
            Self::Incidents => "Incidents",
            Self::Browse => "Browse and restore",
            Self::Cases => "Approvals",
            Self::Sources => "Sources",
            Self::Drills => "Drills",
            Self::Activity => "Activity",
            Self::Doctor => "Doctor",
            Self::People => "People",
        }
    }

    const fn address(self) -> &'static str {
        match self {
            Self::Posture => "/",
            Self::Incidents => "/incidents",
            Self::Browse => "/browse",
            Self::Cases => "/cases",
            Self::Sources => "/sources",
            Self::Drills => "/drills",
            Self::Activity => "/activity",
            Self::Doctor => "/doctor",
            Self::People => "/people",
        }
    }

    /// Returns what is drawn beside its name: a line within 20 by 20.
    const fn icon(self) -> &'static str {
        match self {
            // A shield.
            Self::Posture => {
                "M10 2.5 16 5v4.6c0 3.6-2.5 6.4-6 7.9-3.5-1.5-6-4.3-6-7.9V5zM7.3 9.8l2 2 3.6-3.9"
            }
            // A triangle with a mark.
            Self::Incidents => "M10 3.2 17.6 16.5H2.4zM10 8v4M10 14.2v.2",
            // Time that goes back.
            Self::Browse => "M3.4 4v4h4M3.7 8a6.7 6.7 0 1 1-.4 3.4M10 6.8V10l2.4 1.8",
            // A hand-written line and a tick.
            Self::Cases => "M5 2.8h7.2L15.5 6v11.2H5zM7.6 11.2l1.9 1.9 3.4-3.8",
            // A store of disks.
            Self::Sources => "M4 5.2c0-3 12-3 12 0v9.6c0 3-12 3-12 0zM4 5.2c0 3 12 3 12 0M4 10c0 3 12 3 12 0",
            // A target.
            Self::Drills => {
                "M10 2.8a7.2 7.2 0 1 1 0 14.4 7.2 7.2 0 0 1 0-14.4zM10 6.6a3.4 3.4 0 1 1 0 6.8 3.4 3.4 0 0 1 0-6.8zM10 9.9v.2"
            }
            // A list with its times.
            Self::Activity => "M3.2 5.2h.2M6.6 5.2h10.2M3.2 10h.2M6.6 10h10.2M3.2 14.8h.2M6.6 14.8h10.2",
            // A pulse.
            Self::Doctor => "M2.4 10.6h3.4l2-5.4 3.8 9.8 2.2-4.4h3.8",
            // Two people.
            Self::People => {
                "M7.4 3.4a2.9 2.9 0 1 1 0 5.8 2.9 2.9 0 0 1 0-5.8zM2.2 16.6c0-3 2.2-5 5.2-5s5.2 2 5.2 5M13 3.8a2.6 2.6 0 0 1 0 5M14.4 11.9c2.1.5 3.4 2.3 3.4 4.7"
            }
        }
    }

    const fn permission(self) -> Permission {
        match self {
            Self::Browse => Permission::Content,
            _ => Permission::See,
        }
    }
}

/// A way to a part of the site.
pub(crate) struct Way {
    pub(crate) title: &'static str,
    pub(crate) address: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) current: bool,
    /// How many things wait there.
    pub(crate) waiting: usize,
}

/// What is around a page.
pub(crate) struct Frame {
    /// What the page is called.
    pub(crate) title: String,
    pub(crate) ways: Vec<Way>,
    pub(crate) person: String,
    pub(crate) roles: String,
    pub(crate) csrf: String,
    pub(crate) theme: &'static str,
}

impl Frame {
    /// Makes the frame of a page of a section, for a person.
    pub(crate) fn of(
        site: &Site,
        visitor: &Visitor,
        person: &SignedIn,
        headers: &HeaderMap,
        section: Section,
        title: impl Into<String>,
    ) -> Self {
        let incidents = site.overview().map_or(0, |overview| overview.open_incidents);
        let ways = Section::ALL.into_iter().filter(|section| visitor.may(section.permission()));
        let roles: Vec<&str> = person.roles.iter().map(|role| role.as_str()).collect();
        Self {
            title: title.into(),
            ways: ways
                .map(|its| Way {
                    title: its.title(),
                    address: its.address(),
                    icon: its.icon(),
                    current: its == section,
                    waiting: if its == Section::Incidents { incidents } else { 0 },
                })
                .collect(),
            person: person.person.to_string(),
            roles: roles.join(", "),
            csrf: person.csrf.clone(),
            theme: theme(headers),
        }
    }

    /// Returns when the dark colours are in force.
    pub(crate) fn dark(&self) -> &'static str {
        dark(self.theme)
    }

    /// Returns where an asset is.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::address(name)
    }
}

/// Returns for what the dark colours are: the system decides unless somebody chose. What is printed is never dark.
pub(crate) fn dark(theme: &str) -> &'static str {
    match theme {
        "dark" => "screen",
        "light" => "not all",
        _ => "screen and (prefers-color-scheme: dark)",
    }
}

/// Returns the look that somebody chose; nothing where the system decides.
pub(crate) fn theme(headers: &HeaderMap) -> &'static str {
    match cookie(headers, "theme").as_deref() {
        Some("dark") => "dark",
        Some("light") => "light",
        _ => "",
    }
}
