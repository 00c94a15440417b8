//! Mails that would have been sent. Nothing is sent; tests ask whether somebody was bothered.

use model::Moment;

use super::event::Event;
use crate::{call::Call, tenant::Tenant};

/// What a mail was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// An invitation to an event.
    Invitation,
    /// A change of an event.
    Update,
    /// An event does not take place.
    Cancellation,
    /// A guest has answered.
    Response,
    /// A calendar was shared.
    Sharing,
}

/// A mail that would have been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// When.
    pub time: Moment,
    /// Why.
    pub occasion: Occasion,
    /// Who caused it.
    pub from: String,
    /// Who would have got it.
    pub to: String,
    /// The calendar.
    pub calendar: String,
    /// The event's id; empty for a shared calendar.
    pub event: String,
}

impl Tenant {
    /// Returns the mails about calendars that would have been sent, the oldest first.
    pub fn calendar_mails(&self) -> &[Mail] {
        &self.calendar.mails
    }

    /// Forgets them.
    pub fn clear_calendar_mails(&mut self) {
        self.calendar.mails.clear();
    }

    /// Notes one mail.
    pub(super) fn send_mail(
        &mut self,
        call: &Call,
        occasion: Occasion,
        to: &str,
        calendar: &str,
        event: &str,
    ) {
        self.calendar.mails.push(Mail {
            time: call.now,
            occasion,
            from: call.caller.email.to_string(),
            to: to.to_owned(),
            calendar: calendar.to_owned(),
            event: event.to_owned(),
        });
    }

    /// Notes the mails that a change of an event sends to these addresses, as the call wants it.
    pub(super) fn notify(
        &mut self,
        call: &Call,
        occasion: Occasion,
        calendar: &str,
        event: &Event,
        addresses: &[String],
    ) {
        let wanted = match call.query("sendUpdates") {
            Some(wanted) => wanted,
            None if call.flag("sendNotifications") => "all",
            None => "none",
        };
        let suffix = format!("@{}", self.settings.domain);
        for address in addresses {
            let outside = !address.ends_with(&suffix);
            let sent = match wanted {
                "all" => true,
                "externalOnly" => outside,
                _ => outside && self.settings.calendar.stray_mails,
            };
            if sent && address != calendar {
                self.send_mail(call, occasion, address, calendar, &event.id);
            }
        }
    }
}
