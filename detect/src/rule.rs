//! A rule's metadata as case work, pages and KPIs need it. The detection logic behind it is `sigma`'s and
//! `correlate`'s.

use serde::{Deserialize, Serialize};

/// How bad it is when a rule fires, in Sigma's words; incidents use the same scale from `Low` up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Level {
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

/// A rule as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// The Sigma id (a UUID).
    pub id: String,
    /// Folder name below `rules/<logsource>/`, such as `ssh_bruteforce`: short and stable.
    pub name: String,
    /// German title and description: analysts and municipalities read them.
    pub title: String,
    pub description: String,
    pub level: Level,
    /// RSIT classification `category/type` (`intrusion-attempts/brute-force`).
    pub rsit: String,
    /// ATT&CK techniques (`T1110.001`).
    pub attack: Vec<String>,
    /// Name of the playbook that containment is recommended from.
    pub playbook: Option<String>,
}
