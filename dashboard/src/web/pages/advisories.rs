//! Meldungen (stub until the stage is merged).

use crate::show::Markup;
use crate::web::{Ask, PageError};

pub(super) struct Row {
    pub(super) href: String,
    pub(super) title: String,
    pub(super) severity: Markup,
    pub(super) tlp: Markup,
    pub(super) time: Markup,
}

pub(super) fn for_portal(_ask: &Ask) -> Result<(Vec<Row>, Vec<Row>), PageError> {
    Ok((vec![], vec![]))
}
