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

    /// Returns where an asset is.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::address(name)
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
