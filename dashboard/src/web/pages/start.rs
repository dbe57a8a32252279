//! The start page: where somebody lands after signing in, by role.

use askama::Template;

use crate::access::role_label;
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, Reply};

#[derive(Template)]
#[template(path = "start.html")]
struct StartPage {
    frame: Frame,
    role: &'static str,
    today: String,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let role = role_label(ask.viewer()?.role);
    let frame = ask.frame("Start", Place::Overview);
    ask.page(&StartPage { frame, role, today: crate::show::date_long(ask.now) })
}
