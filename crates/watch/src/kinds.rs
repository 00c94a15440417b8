//! What somebody is: a person, a machine, an agent.

use model::Actor;
use serde::{Deserialize, Serialize};

use crate::glob;

/// What somebody is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    /// Somebody at a screen.
    Person,
    /// A program that does what it was written for.
    Machine,
    /// A program that decides by itself what it does.
    Agent,
    /// Nobody knows.
    #[default]
    Unknown,
}

impl std::fmt::Display for ActorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Person => "person",
            Self::Machine => "machine",
            Self::Agent => "agent",
            Self::Unknown => "unknown",
        })
    }
}

/// Actors of one kind. What is given must fit; in it `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActorPattern {
    /// The role or account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// What the client calls itself. As anybody can call themselves anything, it makes an agent by itself and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The id under which the source knows the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// What they are.
    pub kind: ActorKind,
}

/// Tells people, machines and agents apart: the first pattern that fits, then what the source says, then a list of known
/// agents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActorKinds {
    /// The patterns.
    pub patterns: Vec<ActorPattern>,
}

/// What known agents call themselves, as connections, programs or user agents.
const AGENTS: [&str; 55] = [
    "chatgpt*",
    "openai*",
    "codex",
    "codex-*",
    "codex *",
    "claude",
    "claude *",
    "claude-*",
    "claude_*",
    "anthropic*",
    "cursor",
    "cursor-*",
    "cursor/*",
    "github-copilot*",
    "copilot*",
    "gemini-cli*",
    "gemini cli*",
    "google-gemini-cli*",
    "antigravity*",
    "devin",
    "devin *",
    "devin-*",
    "replit*",
    "q-dev-cli*",
    "amazon q*",
    "kiro*",
    "amp-mcp-client*",
    "cline",
    "cline *",
    "roo-code*",
    "roo code*",
    "kilo-code*",
    "windsurf*",
    "goose",
    "opencode*",
    "crush",
    "factory-cli*",
    "continue-cli*",
    "lovable*",
    "bolt.new*",
    "v0.dev*",
    "gumloop*",
    "lindy*",
    "openclaw*",
    "clawdbot*",
    "moltbot*",
    "nanoclaw*",
    "manus*",
    "mistral*",
    "perplexity*",
    "grok*",
    "glean*",
    "dust-mcp-client*",
    "mcp-*",
    "*-mcp-client*",
];

impl ActorPattern {
    fn fits(&self, actor: &Actor) -> bool {
        let fits = |pattern: &Option<String>, text: Option<&str>| {
            pattern.as_ref().is_none_or(|pattern| text.is_some_and(|text| glob::matches(pattern, text)))
        };
        let names = self.identity.is_some() || self.client.is_some();
        (names || (self.application.is_some() && self.kind == ActorKind::Agent))
            && fits(&self.identity, Some(&actor.identity))
            && fits(&self.application, actor.application.as_deref())
            && fits(&self.client, actor.client.as_deref())
    }
}

impl ActorKinds {
    /// Returns what an actor is.
    ///
    /// Whom the source knows as an agent is one. A program that acts in somebody's name is a machine at least, whatever
    /// the patterns say of that person.
    pub fn of(&self, actor: &Actor) -> ActorKind {
        if actor.agent.is_some() || known_agent(actor).is_some() {
            return ActorKind::Agent;
        }
        let is_program = actor.client.is_some() || actor.impersonated;
        match self.patterns.iter().find(|pattern| pattern.fits(actor)).map(|pattern| pattern.kind) {
            Some(ActorKind::Person | ActorKind::Unknown) if is_program => ActorKind::Machine,
            Some(kind) => kind,
            None if is_program || actor.identity.ends_with(".gserviceaccount.com") => ActorKind::Machine,
            None if actor.identity.contains('@') => ActorKind::Person,
            None => ActorKind::Unknown,
        }
    }

    /// Returns what tells this actor's work from that of others with the same identity.
    pub fn program<'a>(&self, actor: &'a Actor) -> Option<&'a str> {
        let agent = || actor.application.as_deref().filter(|_| self.of(actor) == ActorKind::Agent);
        actor.agent.as_deref().or_else(agent)
    }
}

fn fits(patterns: &[&str], text: &str) -> bool {
    patterns.iter().any(|pattern| glob::matches(pattern, text))
}

fn known_agent(actor: &Actor) -> Option<&str> {
    actor.application.as_deref().filter(|name| fits(&AGENTS, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(identity: &str, application: Option<&str>, client: Option<&str>) -> Actor {
        Actor {
            identity: identity.to_owned(),
            application: application.map(str::to_owned),
            client: client.map(str::to_owned),
            ..Actor::default()
        }
    }

    fn pattern(text: &str) -> ActorKinds {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn without_patterns_the_source_and_known_names_decide() {
        let kinds = ActorKinds::default();
        assert_eq!(kinds.of(&actor("anna@acme.test", None, None)), ActorKind::Person);
        assert_eq!(kinds.of(&actor("anna@acme.test", None, Some("1.apps"))), ActorKind::Machine);
        assert_eq!(kinds.of(&actor("anna@acme.test", Some("OpenClaw"), Some("1.apps"))), ActorKind::Agent);
        assert_eq!(kinds.of(&actor("app", None, None)), ActorKind::Unknown);
        assert_eq!(kinds.of(&actor("app", Some("claude-code"), None)), ActorKind::Agent);
        assert_eq!(kinds.of(&actor("app", Some("claudette reports"), None)), ActorKind::Unknown);
        let named = Actor { agent: Some("Helper".to_owned()), ..actor("anna@acme.test", None, None) };
        assert_eq!(kinds.of(&named), ActorKind::Agent);
        let robot = Actor { impersonated: true, ..actor("anna@acme.test", None, None) };
        assert_eq!(kinds.of(&robot), ActorKind::Machine);
    }

    #[test]
    fn patterns_say_what_roles_are_and_cannot_make_a_program_a_person() {
        let kinds = pattern(
            r#"{"patterns":[{"identity":"batch*","kind":"machine"},{"identity":"*","client":"*","kind":"person"},
                {"identity":"dba","kind":"person"}]}"#,
        );
        assert_eq!(kinds.of(&actor("batch-1", None, None)), ActorKind::Machine);
        assert_eq!(kinds.of(&actor("dba", None, None)), ActorKind::Person);
        assert_eq!(kinds.of(&actor("anna@acme.test", None, Some("1.apps"))), ActorKind::Machine);
    }

    #[test]
    fn what_a_client_calls_itself_makes_nobody_trusted() {
        let kinds = pattern(r#"{"patterns":[{"application":"batch*","kind":"machine"}]}"#);
        assert_eq!(kinds.of(&actor("app", Some("batch"), None)), ActorKind::Unknown);
        let kinds = pattern(r#"{"patterns":[{"application":"helper*","kind":"agent"}]}"#);
        assert_eq!(kinds.of(&actor("app", Some("helper 1"), None)), ActorKind::Agent);
        assert!(serde_json::from_str::<ActorKinds>(r#"{"patern":[]}"#).is_err());
    }
}
