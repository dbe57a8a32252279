//! What a caller may see. Made by one function only (`dashboard::access`), and demanded by every query of every
//! store, so that no page can forget it.

use crate::body::{BodyId, SiteId, SiteTable};

/// The tenant filter of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything: the CERT's own people and the program itself.
    All,
    /// Only what belongs to these bodies; an empty list sees nothing.
    Bodies(Vec<BodyId>),
}

impl Scope {
    pub fn body_allowed(&self, body: Option<BodyId>) -> bool {
        match self {
            Self::All => true,
            Self::Bodies(bodies) => body.is_some_and(|body| bodies.contains(&body)),
        }
    }

    /// Of what may be seen, only what belongs to this body.
    #[must_use]
    pub fn within(&self, body: BodyId) -> Self {
        Self::Bodies(if self.body_allowed(Some(body)) { vec![body] } else { vec![] })
    }

    pub fn site_allowed(&self, site: SiteId, sites: &SiteTable) -> bool {
        self.body_allowed(sites.body(site))
    }

    /// The names of the visible sites, for the stores' filters; `None` means no filter.
    pub fn site_names(&self, sites: &SiteTable) -> Option<Vec<String>> {
        match self {
            Self::All => None,
            Self::Bodies(_) => Some(sites.iter().filter(|site| self.body_allowed(site.body)).map(|site| site.name.clone()).collect()),
        }
    }
}
