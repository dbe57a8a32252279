//! What a user may do and see: the one function that turns an account into a `Viewer`, and the one that says
//! whether a route lets him in. Every page, query, feed and mail asks a `Viewer`'s scope, never the account.

use detect::incident::Tlp;
use detect::role::Role;
use ingest::body::BodyId;
use ingest::db::DbError;
use ingest::rusqlite::Connection;
use ingest::scope::Scope;
use ingest::time::Timestamp;

use crate::mandate::mandate_bodies;
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
    /// The body that he belongs to; those that he acts for stand in the scope.
    pub body: Option<BodyId>,
}

impl Viewer {
    /// Whether what carries this label may be shown to him at all; whose it is has the scope decided.
    pub fn may_read(&self, label: &str) -> bool {
        TlpRank::of(label) <= self.tlp_max
    }

    /// The labels that he may read, for a store's filter; `None` for all.
    pub fn readable(&self) -> Option<Vec<Tlp>> {
        (self.tlp_max < TlpRank::Red).then(|| Tlp::ALL.into_iter().filter(|tlp| self.may_read(tlp.as_str())).collect())
    }
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
    /// Of FIRST's label, with or without the prefix (`AMBER+STRICT`). An unknown label is the strictest: unlabelled is not clear.
    pub fn of(label: &str) -> Self {
        match label.strip_prefix("TLP:").unwrap_or(label) {
            "CLEAR" => Self::Clear,
            "GREEN" => Self::Green,
            "AMBER" => Self::Amber,
            "AMBER+STRICT" => Self::AmberStrict,
            _ => Self::Red,
        }
    }
}

/// Whose something is that a role sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    All,
    /// Of the own body and of those that have given a mandate.
    Own,
    Nobodys,
}

/// What a role sees. Everything that depends on role, body, mandate and label is read from here.
struct Grant {
    role: Role,
    /// Cases, alerts, warnings, lines and flows.
    cases: Whose,
    /// Over whose cases figures are made. The committee and the auditor get those of all bodies, though no case of any:
    /// their pages show counts only, and those by the rules for neighbours (`advisory::kpi::peers`).
    figures: Whose,
    /// What sends here, and how it is. The administrator looks after all of it.
    sources: Whose,
    tlp_max: TlpRank,
}

const fn grant(role: Role, cases: Whose, figures: Whose, sources: Whose, tlp_max: TlpRank) -> Grant {
    Grant { role, cases, figures, sources, tlp_max }
}

const GRANTS: [Grant; 7] = {
    use Whose::{All, Nobodys, Own};
    [
        grant(Role::Analyst, All, All, All, TlpRank::Red),
        grant(Role::Lead, All, All, All, TlpRank::Red),
        // Strict means: inside the organisation only, which a body's own ISB is.
        grant(Role::Municipality, Own, Own, Own, TlpRank::AmberStrict),
        // A provider is a client of the body, and thus outside where the label is strict.
        grant(Role::Provider, Own, Own, Own, TlpRank::Amber),
        grant(Role::Steering, Nobodys, All, Nobodys, TlpRank::Green),
        grant(Role::Auditor, Nobodys, All, Nobodys, TlpRank::Green),
        grant(Role::Admin, Nobodys, Nobodys, All, TlpRank::Green),
    ]
};

/// What no role has: who is in no row sees nothing.
const NOTHING: Grant = grant(Role::Auditor, Whose::Nobodys, Whose::Nobodys, Whose::Nobodys, TlpRank::Clear);

fn grant_of(role: Role) -> &'static Grant {
    GRANTS.iter().find(|grant| grant.role == role).unwrap_or(&NOTHING)
}

fn scope(whose: Whose, bodies: &[BodyId]) -> Scope {
    match whose {
        Whose::All => Scope::All,
        Whose::Own => Scope::Bodies(bodies.to_vec()),
        Whose::Nobodys => Scope::Bodies(vec![]),
    }
}

/// For which bodies an account may act now: the own one, or for a provider those that have given it a mandate.
///
/// # Errors
/// The database's own.
pub fn bodies(connection: &Connection, user: &User, now: Timestamp) -> Result<Vec<BodyId>, DbError> {
    match user.role {
        // The column is what an account had before there were mandates, and each of those became one: one that has ended
        // must not live on there.
        Role::Provider => mandate_bodies(connection, user.id, now),
        _ => Ok(user.body.into_iter().collect()),
    }
}

/// The one place that decides what an account may see, from its role and the bodies that it may act for (`bodies`).
pub fn viewer(user: &User, bodies: &[BodyId]) -> Viewer {
    let grant = grant_of(user.role);
    Viewer {
        user: user.id,
        name: user.name.clone(),
        role: user.role,
        scope: scope(grant.cases, bodies),
        tlp_max: grant.tlp_max,
        body: user.body,
    }
}

/// The bodies of a viewer whose scope is his own; none for everybody else.
fn own(viewer: &Viewer) -> &[BodyId] {
    match &viewer.scope {
        Scope::Bodies(bodies) => bodies,
        Scope::All => &[],
    }
}

/// Over whose cases somebody's figures are made.
pub fn figures_scope(viewer: &Viewer) -> Scope {
    scope(grant_of(viewer.role).figures, own(viewer))
}

/// Whose sources somebody sees.
pub fn sources_scope(viewer: &Viewer) -> Scope {
    scope(grant_of(viewer.role).sources, own(viewer))
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
/// Accounts, mandates: who may do what, but no case.
pub const ADMIN: Who = Who::Only(&[Role::Admin]);
/// Figures: of all bodies for those whose work they are, of the own one for a body (`figures_scope`).
pub const FIGURES: Who = Who::Only(&[Role::Analyst, Role::Lead, Role::Municipality, Role::Steering, Role::Auditor]);
pub const SOURCES: Who = Who::Only(&[Role::Analyst, Role::Lead, Role::Municipality, Role::Provider, Role::Admin]);

/// Who reads what everybody did.
pub const AUDIT: Who = Who::Only(&[Role::Auditor]);

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

    use super::*;

    fn user(role: Role, body: Option<BodyId>) -> User {
        User { id: UserId::default(), login: "x".into(), name: "X".into(), role, body, disabled: false }
    }

    /// Role × mandate × kind of data × label.
    #[test]
    fn what_each_role_sees() {
        let (own, mandated) = (BodyId::new(Timestamp(0)), BodyId::new(Timestamp(1)));
        let words = |scope: Scope| match scope {
            Scope::All => "all".to_owned(),
            Scope::Bodies(bodies) => match (bodies.contains(&own), bodies.contains(&mandated)) {
                (true, true) => "own and mandated".to_owned(),
                (true, false) => "own".to_owned(),
                (false, true) => "mandated".to_owned(),
                (false, false) => "none".to_owned(),
            },
        };
        let mut table = String::new();
        for role in Role::ALL {
            let viewer = viewer(&user(role, Some(own)), &[own, mandated]);
            let alone = super::viewer(&user(role, Some(own)), &[own]);
            let lost = super::viewer(&user(role, None), &[]);
            assert!(alone.scope == Scope::All || !alone.scope.body_allowed(Some(mandated)), "{role:?} without a mandate");
            assert!(lost.scope == Scope::All || lost.scope == Scope::Bodies(vec![]), "{role:?} without a body");
            let (cases, figures, sources) = (viewer.scope.clone(), figures_scope(&viewer), sources_scope(&viewer));
            let labels = ["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED", ""].map(|label| if viewer.may_read(label) { 'x' } else { '-' });
            table.push_str(&format!(
                "{}: cases of {}; figures of {}{}; sources of {}; labels {}\n",
                role.as_str(),
                words(cases),
                words(figures),
                if cases_visible(&viewer) { " with their cases" } else { "" },
                words(sources),
                labels.iter().collect::<String>(),
            ));
        }
        expect![[r#"
            analyst: cases of all; figures of all with their cases; sources of all; labels xxxxxx
            lead: cases of all; figures of all with their cases; sources of all; labels xxxxxx
            municipality: cases of own and mandated; figures of own and mandated with their cases; sources of own and mandated; labels xxxx--
            provider: cases of own and mandated; figures of own and mandated with their cases; sources of own and mandated; labels xxx---
            steering: cases of none; figures of all; sources of none; labels xx----
            auditor: cases of none; figures of all; sources of none; labels xx----
            admin: cases of none; figures of none; sources of all; labels xx----
        "#]].assert_eq(&table);
    }

    #[test]
    fn every_role_has_its_row() {
        for role in Role::ALL {
            assert_eq!(GRANTS.iter().filter(|grant| grant.role == role).count(), 1, "{role:?}");
        }
    }

    #[test]
    fn the_doors_let_in_whom_the_table_of_actions_names() {
        use detect::role::{Action, allowed};
        for role in Role::ALL {
            for (who, action) in [
                (CERT, Action::RevealAsk),
                (LEAD, Action::RevealDecide),
                (CERT, Action::SearchRealValues),
                (LEAD, Action::RuleSwitch),
                (CERT, Action::RuleTune),
                (CERT, Action::RuleBacktest),
            ] {
                assert_eq!(judge(who, Some(role)) == Verdict::Enter, allowed(action, role), "{role:?} {action:?}");
            }
        }
    }

    #[test]
    fn an_unknown_label_is_the_strictest() {
        assert_eq!(TlpRank::of(""), TlpRank::Red);
        assert_eq!(TlpRank::of("TLP:AMBER"), TlpRank::Amber);
        assert!(TlpRank::of("GREEN") < TlpRank::of("AMBER"));
    }
}
