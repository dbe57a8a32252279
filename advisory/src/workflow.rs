//! Who may move an advisory: one table. The manual's diagram and the pages' buttons are drawn from it.
//!
//! **Invariant**: nobody approves a text at which they wrote since its last publication.

use crate::advisory::State;
use serde::Serialize;

/// What an actor may do for the WID. The dashboard maps its users' roles onto these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Role {
    Author,
    Reviewer,
    Publisher,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Author, Self::Reviewer, Self::Publisher];
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user's id as the history records it.
    pub user: String,
    pub roles: Vec<Role>,
}

impl Actor {
    pub fn new(user: &str, roles: &[Role]) -> Self {
        Self { user: user.to_owned(), roles: roles.to_vec() }
    }

    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

use Role::{Author, Publisher, Reviewer};
use State::{Approved, Draft, InReview, Published, Withdrawn};

/// From, to, and the roles of which one is needed.
pub const TRANSITIONS: &[(State, State, &[Role])] = &[
    (Draft, InReview, &[Author]),
    (InReview, Draft, &[Author, Reviewer]),    // sent back with a comment
    (InReview, Approved, &[Reviewer]),         // and not by who wrote it
    (Approved, Draft, &[Reviewer, Publisher]), // a last doubt
    (Approved, Published, &[Publisher]),
    (Published, Draft, &[Author]), // an update: the published text stays up until the next one
    (Published, Withdrawn, &[Publisher]),
];

/// Why a step was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no step leads from {from:?} to {to:?}")]
    NoSuchStep { from: State, to: State },
    #[error("the step from {from:?} to {to:?} needs one of the roles {needed:?}")]
    Role { from: State, to: State, needed: &'static [Role] },
    #[error("nobody approves the own text")]
    OwnText,
    #[error("the text is {0:?}, only a draft can be edited")]
    NotADraft(State),
}

/// Whether `actor` may take the step; `editors` wrote at the text since its last publication.
///
/// # Errors
/// The reason for which not.
pub fn transition_check(from: State, to: State, actor: &Actor, editors: &[String]) -> Result<(), Refusal> {
    let (_, _, needed) = TRANSITIONS.iter().find(|step| (step.0, step.1) == (from, to)).ok_or(Refusal::NoSuchStep { from, to })?;
    if !needed.iter().any(|role| actor.has(*role)) {
        return Err(Refusal::Role { from, to, needed });
    }
    if to == Approved && editors.contains(&actor.user) {
        return Err(Refusal::OwnText);
    }
    Ok(())
}

/// Whether `actor` may write at a text in this state.
///
/// # Errors
/// The reason for which not.
pub fn edit_check(state: State, actor: &Actor) -> Result<(), Refusal> {
    if state != Draft {
        return Err(Refusal::NotADraft(state));
    }
    if actor.has(Author) { Ok(()) } else { Err(Refusal::Role { from: Draft, to: Draft, needed: &[Author] }) }
}

/// The steps that the pages offer `actor` now.
pub fn transitions_open(from: State, actor: &Actor, editors: &[String]) -> Vec<State> {
    State::ALL.iter().copied().filter(|to| transition_check(from, *to, actor, editors).is_ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    /// Every pair of states with every single role, by somebody who did not write the text.
    #[test]
    fn the_role_matrix() {
        let mut matrix = String::new();
        for from in State::ALL {
            for to in State::ALL {
                let may: Vec<Role> = Role::ALL
                    .into_iter()
                    .filter(|role| transition_check(*from, *to, &Actor::new("b", &[*role]), &["a".into()]).is_ok())
                    .collect();
                if !may.is_empty() {
                    writeln!(matrix, "{from:?} -> {to:?}: {may:?}").unwrap();
                }
            }
        }
        expect![[r#"
            Draft -> InReview: [Author]
            InReview -> Draft: [Author, Reviewer]
            InReview -> Approved: [Reviewer]
            Approved -> Draft: [Reviewer, Publisher]
            Approved -> Published: [Publisher]
            Published -> Draft: [Author]
            Published -> Withdrawn: [Publisher]
        "#]]
        .assert_eq(&matrix);
    }

    #[test]
    fn nobody_approves_the_own_text_whatever_the_roles() {
        let all = Actor::new("a", &Role::ALL);
        assert_eq!(transition_check(InReview, Approved, &all, &["b".into(), "a".into()]), Err(Refusal::OwnText));
        assert_eq!(transition_check(InReview, Approved, &all, &["b".into()]), Ok(()));
        assert_eq!(transitions_open(InReview, &all, &["a".into()]), [Draft]);
    }

    #[test]
    fn only_authors_edit_and_only_drafts() {
        assert_eq!(edit_check(Draft, &Actor::new("a", &[Author])), Ok(()));
        assert!(edit_check(Draft, &Actor::new("a", &[Reviewer, Publisher])).is_err());
        for state in [InReview, Approved, Published, Withdrawn] {
            assert_eq!(edit_check(state, &Actor::new("a", &Role::ALL)), Err(Refusal::NotADraft(state)));
        }
    }
}
