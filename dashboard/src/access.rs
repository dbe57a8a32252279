//! What a user may do and see: the one function that turns an account into a `Viewer`, and the one that says
//! whether a route lets him in. Every page, query, feed and mail asks a `Viewer`'s scope, never the account.

use detect::role::Role;
use ingest::body::BodyId;
use ingest::scope::Scope;

use crate::user::{User, UserId};
use crate::words::t;

/// A signed-in user as the stores and pages know him.
#[derive(Clone, Debug)]
pub struct Viewer {
    pub user: UserId,
    pub name: String,
    pub role: Role,
    pub scope: Scope,
    /// The highest label shown to him; a provider's and the committee's is lower than a body's own.
    pub tlp_max: TlpRank,
    pub body: Option<BodyId>,
}

/// TLP labels from the most to the least open, so that "at most" can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlpRank {
    Clear,
    Green,
    Amber,
    AmberStrict,
    Red,
}

impl TlpRank {
    /// Of FIRST's label without the prefix (`AMBER+STRICT`). An unknown label is the strictest: unlabelled is not clear.
    pub fn of(label: &str) -> Self {
        match label {
            "CLEAR" => Self::Clear,
            "GREEN" => Self::Green,
            "AMBER" => Self::Amber,
            "AMBER+STRICT" => Self::AmberStrict,
            _ => Self::Red,
        }
    }
}

/// The one place that decides what an account may see.
pub fn viewer(user: &User) -> Viewer {
    let own = || Scope::Bodies(user.body.into_iter().collect());
    let (scope, tlp_max) = match user.role {
        Role::Analyst | Role::Lead => (Scope::All, TlpRank::Red),
        // Strict means: inside the organisation only, which a body's own ISB is.
        Role::Municipality => (own(), TlpRank::AmberStrict),
        Role::Provider => (own(), TlpRank::Amber),
        // Figures over all bodies are their work, but no case and no log line of any.
        Role::Steering | Role::Auditor | Role::Admin => (Scope::Bodies(vec![]), TlpRank::Green),
    };
    Viewer { user: user.id, name: user.name.clone(), role: user.role, scope, tlp_max, body: user.body }
}

/// Over whose cases somebody's figures are made. The committee and the auditor get those of all bodies, though no case
/// of any: their pages show counts only, and those by the rules for neighbours (`advisory::kpi::peers`).
pub fn figures_scope(viewer: &Viewer) -> Scope {
    match viewer.role {
        Role::Analyst | Role::Lead | Role::Steering | Role::Auditor => Scope::All,
        Role::Municipality | Role::Provider | Role::Admin => viewer.scope.clone(),
    }
}

/// Whether somebody may see the single cases behind a figure.
pub fn cases_visible(viewer: &Viewer) -> bool {
    judge(CASES, Some(viewer.role)) == Verdict::Enter
}

/// Who is let in at a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody, signed in or not: the door itself and links that carry their own secret.
    Public,
    SignedIn,
    Only(&'static [Role]),
}

pub const CERT: Who = Who::Only(&[Role::Analyst, Role::Lead]);
/// The second pair of eyes.
pub const LEAD: Who = Who::Only(&[Role::Lead]);
/// The CERT and those who answer for a body, each within his scope.
pub const CASES: Who = Who::Only(&[Role::Analyst, Role::Lead, Role::Municipality, Role::Provider]);
/// Those who answer for a body.
pub const BODIES: Who = Who::Only(&[Role::Municipality, Role::Provider]);
/// Figures: of all bodies for those whose work they are, of the own one for a body (`figures_scope`).
pub const FIGURES: Who = Who::Only(&[Role::Analyst, Role::Lead, Role::Municipality, Role::Steering, Role::Auditor]);
pub const SOURCES: Who = Who::Only(&[Role::Analyst, Role::Lead, Role::Municipality, Role::Provider, Role::Admin]);

/// Who says what is expected of a source and how its stamps are read.
pub const SOURCES_EDIT: Who = Who::Only(&[Role::Analyst, Role::Lead, Role::Admin]);

/// How a route answers somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Enter,
    SignIn,
    Forbidden,
}

pub fn judge(who: Who, role: Option<Role>) -> Verdict {
    match (who, role) {
        (Who::Public, _) | (Who::SignedIn, Some(_)) => Verdict::Enter,
        (_, None) => Verdict::SignIn,
        (Who::Only(roles), Some(role)) if roles.contains(&role) => Verdict::Enter,
        (Who::Only(_), Some(_)) => Verdict::Forbidden,
    }
}

/// What a role is called on the page.
pub fn role_label(role: Role) -> &'static str {
    match role {
        Role::Analyst => t("Analyse"),
        Role::Lead => t("Leitung"),
        Role::Municipality => t("Stelle"),
        Role::Provider => t("Dienstleister"),
        Role::Steering => t("Steuerungsgremium"),
        Role::Auditor => t("Revision"),
        Role::Admin => t("Verwaltung"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::time::Timestamp;

    use super::*;

    #[test]
    fn what_each_role_sees() {
        let body = BodyId::new(Timestamp(0));
        let mut table = String::new();
        for role in Role::ALL {
            let user = User { id: UserId::default(), login: "x".into(), name: "X".into(), role, body: Some(body), disabled: false };
            let viewer = viewer(&user);
            let words = |scope: Scope| match scope {
                Scope::All => "all".to_owned(),
                Scope::Bodies(bodies) => format!("{} own", bodies.len()),
            };
            let (scope, figures) = (words(viewer.scope.clone()), words(figures_scope(&viewer)));
            let cases = if cases_visible(&viewer) { "with their cases" } else { "without cases" };
            table.push_str(&format!("{}: {scope}, up to {:?}; figures: {figures} {cases}\n", role.as_str(), viewer.tlp_max));
        }
        expect![[r#"
            analyst: all, up to Red; figures: all with their cases
            lead: all, up to Red; figures: all with their cases
            municipality: 1 own, up to AmberStrict; figures: 1 own with their cases
            provider: 1 own, up to Amber; figures: 1 own with their cases
            steering: 0 own, up to Green; figures: all without cases
            auditor: 0 own, up to Green; figures: all without cases
            admin: 0 own, up to Green; figures: 0 own without cases
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn a_body_user_without_a_body_sees_nothing() {
        let user =
            User { id: UserId::default(), login: "x".into(), name: "X".into(), role: Role::Municipality, body: None, disabled: false };
        assert_eq!(viewer(&user).scope, Scope::Bodies(vec![]));
    }

    #[test]
    fn the_doors_of_revealing_let_in_whom_the_table_of_actions_names() {
        use detect::role::{Action, allowed};
        for role in Role::ALL {
            for (who, action) in [(CERT, Action::RevealAsk), (LEAD, Action::RevealDecide), (CERT, Action::SearchRealValues)] {
                assert_eq!(judge(who, Some(role)) == Verdict::Enter, allowed(action, role), "{role:?} {action:?}");
            }
        }
    }

    #[test]
    fn an_unknown_label_is_the_strictest() {
        assert_eq!(TlpRank::of(""), TlpRank::Red);
        assert!(TlpRank::of("GREEN") < TlpRank::of("AMBER"));
    }
}
