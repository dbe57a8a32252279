//! Who somebody is, and what case work that lets them do: one table, from which the manual's matrix is drawn.
//! Whose cases they may touch is the scope's affair (`ingest::scope`), the moves of an incident are `incident`'s.

use serde::{Deserialize, Serialize};

use Role::{Admin, Analyst, Auditor, Lead, Municipality, Provider, Steering};

/// A user's role; each user has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Works the cases of all bodies.
    Analyst,
    /// An analyst who is the second pair of eyes: closes and reopens.
    Lead,
    /// A body's ISB or the deputy: sees and answers for the own body.
    Municipality,
    /// Acts for the bodies that mandate it (TLRZ, the municipal IT provider).
    Provider,
    /// Figures and projects, no cases.
    Steering,
    /// Reads the audit log.
    Auditor,
    /// Sites, users, sources; no case content.
    Admin,
}

impl Role {
    pub const ALL: [Self; 7] = [Analyst, Lead, Municipality, Provider, Steering, Auditor, Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Analyst => "analyst",
            Lead => "lead",
            Municipality => "municipality",
            Provider => "provider",
            Steering => "steering",
            Auditor => "auditor",
            Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// A thing to do in a case, apart from moving it through its states (`incident::TRANSITIONS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    IncidentOpen,
    /// A body reports its own incident.
    IncidentReport,
    IncidentAssign,
    IncidentSeverity,
    IncidentClassify,
    IncidentLabel,
    IncidentEdit,
    IncidentNote,
    AlertAcknowledge,
    AlertClose,
    RecommendationEdit,
    RecommendationSend,
    /// The body's answer; an analyst types in what came by phone.
    RecommendationAnswer,
    /// Say whether a duty to report holds, fill its form, note that it was sent.
    DutyDecide,
    /// The same for the duties that are the body's own.
    DutyReport,
    /// What is to be done in cases, by whom and until when.
    TaskEdit,
    /// Put two cases into one, take alerts out into a new one, tie two together.
    IncidentJoin,
    /// Make a warning of what a case of the state suggests, or say why not.
    WarningDecide,
    /// Search hidden values by what they are, not by their pseudonyms alone.
    SearchRealValues,
    /// Ask what a pseudonym stands for, and look once another person has approved.
    RevealAsk,
    RevealDecide,
    /// Put a rule on, on probation or off: what is off sees nothing.
    RuleSwitch,
    /// Hold a rule back where somebody knows better, for a time.
    RuleTune,
    /// Try a rule on what is stored.
    RuleBacktest,
    /// Put a file into a case, and take one out.
    ExhibitAdd,
    /// Let a file that came by mail out of quarantine.
    ExhibitRelease,
    /// Write to a body out of a case.
    LetterSend,
    /// Say to which case a mail belongs.
    LetterSort,
}

/// Who may do what. A role that stands in no row does nothing in cases.
pub const ALLOWED: &[(Action, &[Role])] = &[
    (Action::IncidentOpen, &[Analyst, Lead]),
    (Action::IncidentReport, &[Municipality, Provider]),
    (Action::IncidentAssign, &[Analyst, Lead]),
    (Action::IncidentSeverity, &[Analyst, Lead]),
    (Action::IncidentClassify, &[Analyst, Lead]),
    (Action::IncidentLabel, &[Analyst, Lead]),
    (Action::IncidentEdit, &[Analyst, Lead]),
    (Action::IncidentNote, &[Analyst, Lead]),
    (Action::AlertAcknowledge, &[Analyst, Lead]),
    (Action::AlertClose, &[Analyst, Lead]),
    (Action::RecommendationEdit, &[Analyst, Lead]),
    (Action::RecommendationSend, &[Analyst, Lead]),
    (Action::RecommendationAnswer, &[Analyst, Lead, Municipality, Provider]),
    (Action::DutyDecide, &[Analyst, Lead]),
    (Action::DutyReport, &[Municipality, Provider]),
    (Action::TaskEdit, &[Analyst, Lead]),
    (Action::IncidentJoin, &[Analyst, Lead]),
    (Action::WarningDecide, &[Analyst, Lead]),
    (Action::SearchRealValues, &[Analyst, Lead]),
    (Action::RevealAsk, &[Analyst, Lead]),
    (Action::RevealDecide, &[Lead]),
    (Action::RuleSwitch, &[Lead]),
    (Action::RuleTune, &[Analyst, Lead]),
    (Action::RuleBacktest, &[Analyst, Lead]),
    (Action::ExhibitAdd, &[Analyst, Lead]),
    (Action::ExhibitRelease, &[Analyst, Lead]),
    (Action::LetterSend, &[Analyst, Lead]),
    (Action::LetterSort, &[Analyst, Lead]),
];

/// Whether `role` may do `action`: for buttons as well as for the check behind them.
pub fn allowed(action: Action, role: Role) -> bool {
    ALLOWED.iter().any(|(known, roles)| *known == action && roles.contains(&role))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_matrix_of_roles_and_actions() {
        let mut matrix = String::new();
        for (action, _) in ALLOWED {
            let marks = Role::ALL.map(|role| if allowed(*action, role) { role.as_str() } else { "-" });
            matrix.push_str(&format!("{action:?}: {}\n", marks.join(" ")));
        }
        expect![[r#"
            IncidentOpen: analyst lead - - - - -
            IncidentReport: - - municipality provider - - -
            IncidentAssign: analyst lead - - - - -
            IncidentSeverity: analyst lead - - - - -
            IncidentClassify: analyst lead - - - - -
            IncidentLabel: analyst lead - - - - -
            IncidentEdit: analyst lead - - - - -
            IncidentNote: analyst lead - - - - -
            AlertAcknowledge: analyst lead - - - - -
            AlertClose: analyst lead - - - - -
            RecommendationEdit: analyst lead - - - - -
            RecommendationSend: analyst lead - - - - -
            RecommendationAnswer: analyst lead municipality provider - - -
            DutyDecide: analyst lead - - - - -
            DutyReport: - - municipality provider - - -
            TaskEdit: analyst lead - - - - -
            IncidentJoin: analyst lead - - - - -
            WarningDecide: analyst lead - - - - -
            SearchRealValues: analyst lead - - - - -
            RevealAsk: analyst lead - - - - -
            RevealDecide: - lead - - - - -
            RuleSwitch: - lead - - - - -
            RuleTune: analyst lead - - - - -
            RuleBacktest: analyst lead - - - - -
            ExhibitAdd: analyst lead - - - - -
            ExhibitRelease: analyst lead - - - - -
            LetterSend: analyst lead - - - - -
            LetterSort: analyst lead - - - - -
        "#]]
        .assert_eq(&matrix);
    }
}
