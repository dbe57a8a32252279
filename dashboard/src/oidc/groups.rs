//! From the groups that the provider names to a role and whom somebody acts for: one pure function over the table in the
//! configuration. The first row that fits wins, so that the operator decides what counts where somebody is in many groups.

use detect::role::Role;
use ingest::body::BodyId;

use crate::identity::Rights;
use crate::mandate::ProviderId;

/// A row of `[[oidc.groups]]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupRow {
    /// The group's name at the provider; one `*` in it stands for a body's name or its AGS.
    pub group: String,
    pub role: Option<Role>,
    /// For municipalities the body, for providers the organisation: by name or AGS, or `*` for what stood in the group.
    pub body: Option<String>,
}

/// The bodies and organisations that a row can mean.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    /// Name and AGS.
    pub bodies: Vec<(BodyId, String, Option<String>)>,
    pub providers: Vec<(ProviderId, String)>,
}

/// Groups that are read, of those that a person has; a directory that names more is asked for fewer.
pub const GROUPS_MAX: usize = 1_000;

/// What the groups give; nothing where no row fits, or its body does not exist here.
pub fn rights(rows: &[GroupRow], groups: &[String], tenants: &Tenants) -> Option<Rights> {
    // Sorted, so that the answer does not hang on the provider's order.
    let mut groups: Vec<&str> = groups.iter().take(GROUPS_MAX).map(String::as_str).collect();
    groups.sort_unstable();
    rows.iter().find_map(|row| groups.iter().find_map(|group| granted(row, group, tenants)))
}

fn granted(row: &GroupRow, group: &str, tenants: &Tenants) -> Option<Rights> {
    let star = fits(&row.group, group)?;
    let role = row.role?;
    let named = match row.body.as_deref() {
        Some("*") => star,
        other => other,
    };
    match role {
        Role::Municipality => body(named?, tenants).map(|body| Rights { role, body: Some(body), provider: None }),
        Role::Provider => provider(named?, tenants).map(|provider| Rights { role, body: None, provider: Some(provider) }),
        _ => Some(Rights { role, body: None, provider: None }),
    }
}

/// Whether the group is what the pattern says; what the star stands for, where there is one.
fn fits<'a>(pattern: &str, group: &'a str) -> Option<Option<&'a str>> {
    let Some((before, behind)) = pattern.split_once('*') else { return (pattern == group).then_some(None) };
    let star = group.strip_prefix(before)?.strip_suffix(behind)?;
    (!star.is_empty()).then_some(Some(star))
}

fn body(named: &str, tenants: &Tenants) -> Option<BodyId> {
    let named = named.to_lowercase();
    // An AGS can stand for more than one body (a town and its Verwaltungsgemeinschaft): then it names none.
    let mut found = tenants.bodies.iter().filter(|(_, name, ags)| name.to_lowercase() == named || ags.as_deref() == Some(&*named));
    let first = found.next()?;
    found.next().is_none().then_some(first.0)
}

fn provider(named: &str, tenants: &Tenants) -> Option<ProviderId> {
    let named = named.to_lowercase();
    tenants.providers.iter().find(|(_, name)| name.to_lowercase() == named).map(|(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use ingest::time::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn tenants() -> Tenants {
        let body = |name: &str, ags: &str| (BodyId::new(Timestamp(1)), name.to_owned(), Some(ags.to_owned()));
        Tenants {
            bodies: vec![body("Stadtverwaltung Sömmerda", "16068051"), body("Stadt Doppel", "16000001"), body("VG Doppel", "16000001")],
            providers: vec![(ProviderId::new(Timestamp(1)), "KDN GmbH".to_owned())],
        }
    }

    fn row(group: &str, role: Role, body: Option<&str>) -> GroupRow {
        GroupRow { group: group.into(), role: Some(role), body: body.map(str::to_owned) }
    }

    fn rows() -> Vec<GroupRow> {
        vec![
            row("cert-leitung", Role::Lead, None),
            row("cert-analyse", Role::Analyst, None),
            row("isb-*", Role::Municipality, Some("*")),
            row("soemmerda", Role::Municipality, Some("Stadtverwaltung Sömmerda")),
            row("dienstleister/*", Role::Provider, Some("*")),
        ]
    }

    fn check(groups: &[&str], expected: Expect) {
        let tenants = tenants();
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let text = rights(&rows(), &groups, &tenants).map_or("nothing".to_owned(), |rights| {
            let body = tenants.bodies.iter().find(|(id, ..)| Some(*id) == rights.body).map_or("", |(_, name, _)| name);
            let provider = tenants.providers.iter().find(|(id, _)| Some(*id) == rights.provider).map_or("", |(_, name)| name);
            format!("{} {body}{provider}", rights.role.as_str())
        });
        expected.assert_eq(text.trim());
    }

    #[test]
    fn groups_to_rights() {
        check(&[], expect!["nothing"]);
        check(&["cert-analyse"], expect!["analyst"]);
        check(&["cert-analyse", "cert-leitung"], expect!["lead"]);
        check(&["isb-16068051", "cert-analyse"], expect!["analyst"]);
        check(&["isb-16068051"], expect!["municipality Stadtverwaltung Sömmerda"]);
        check(&["isb-stadtverwaltung sömmerda"], expect!["municipality Stadtverwaltung Sömmerda"]);
        check(&["soemmerda"], expect!["municipality Stadtverwaltung Sömmerda"]);
        check(&["dienstleister/kdn gmbh"], expect!["provider KDN GmbH"]);
        // A body that is not here, two that share a key, a star for nothing, another case, a part of a name.
        check(&["isb-99999999"], expect!["nothing"]);
        check(&["isb-16000001"], expect!["nothing"]);
        check(&["isb-"], expect!["nothing"]);
        check(&["CERT-ANALYSE"], expect!["nothing"]);
        check(&["cert-analyse-praktikum", "x-cert-leitung"], expect!["nothing"]);
        check(&["dienstleister/fremd"], expect!["nothing"]);
    }

    fn any_role() -> impl Strategy<Value = Role> {
        prop::sample::select(Role::ALL.to_vec())
    }

    proptest! {
        /// Whatever the table and the groups: role and body are those of a row whose group the person has.
        #[test]
        fn nobody_gets_more_than_the_groups_say(
            table in prop::collection::vec(("[ab*]{1,3}", any_role(), prop::option::of("[ab*]{1,2}")), 0..6),
            groups in prop::collection::vec("[ab]{0,4}", 0..6),
        ) {
            let rows: Vec<GroupRow> = table.into_iter().map(|(group, role, body)| GroupRow { group, role: Some(role), body }).collect();
            let tenants = Tenants {
                bodies: ["a", "b", "ab"].map(|name| (BodyId::new(Timestamp(1)), name.to_owned(), None)).to_vec(),
                providers: ["a", "ba"].map(|name| (ProviderId::new(Timestamp(1)), name.to_owned())).to_vec(),
            };
            let Some(rights) = rights(&rows, &groups, &tenants) else { return Ok(()) };
            let backed = rows.iter().any(|row| {
                let has = |group: &&String| regex::Regex::new(&format!("^{}$", row.group.replacen('*', "(.+)", 1).replace('*', "\\*"))).unwrap().is_match(group);
                let Some(group) = groups.iter().find(has) else { return false };
                let names_it = |name: &String| row.body.as_ref() == Some(name) || (row.body.as_deref() == Some("*") && groups.iter().any(|group| group.contains(name.as_str())));
                let body = rights.body.is_none_or(|id| tenants.bodies.iter().any(|(known, name, _)| *known == id && names_it(name)));
                let provider = rights.provider.is_none_or(|id| tenants.providers.iter().any(|(known, name)| *known == id && names_it(name)));
                row.role == Some(rights.role) && !group.is_empty() && body && provider
            });
            prop_assert!(backed);
            prop_assert_eq!(rights.body.is_some(), rights.role == Role::Municipality);
            prop_assert_eq!(rights.provider.is_some(), rights.role == Role::Provider);
        }
    }
}
