//! A message into a channel of Slack, or of anything that takes the same incoming webhooks.

use std::sync::Arc;

use connect_http::Transport;
use serde_json::json;

use crate::{
    Channel, Message, NotifyError, Urgency,
    webhook::{host, post, settings},
};

/// Posts to an incoming webhook that takes `{"text": …}`.
pub struct Chat {
    name: String,
    url: String,
    transport: Arc<dyn Transport>,
}

impl Chat {
    /// Makes a channel; its address is a secret.
    pub fn new(url: String, transport: Arc<dyn Transport>) -> Self {
        Self { name: format!("chat {}", host(&url)), url, transport }
    }
}

impl Channel for Chat {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&self, message: &Message) -> Result<(), NotifyError> {
        let sign = match message.urgency {
            Urgency::Alarm => ":rotating_light: ",
            Urgency::Notice => "",
        };
        let text = format!("{sign}*{}*\n{}", escaped(&message.title), escaped(&message.lines.join("\n")));
        let body = serde_json::to_vec(&json!({ "text": text }))
            .map_err(|error| settings(&self.name, error.to_string()))?;
        post(&self.name, &*self.transport, &self.url, &[], body)
    }
}

/// Escapes what Slack would take for a link, a mention or an entity: names of items are other people's words.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_mention_anybody() {
        assert_eq!(escaped("<!channel> & co"), "&lt;!channel&gt; &amp; co");
    }
}
