//! Stored lines as records, decoded only where more than their text is asked for.

use std::cell::OnceCell;

use super::Redecode;
use super::stored::event_of;
use crate::body::SiteTable;
use crate::event::{Defects, Event, ValueRef};
use crate::fields::FieldId;
use crate::frame::{Frame, Seq};
use crate::record::{EventRecord, Record};
use crate::time::Timestamp;

/// A stored line that is decoded only where more than its text is asked for: most of them fail by that already.
pub(super) struct Line<'a> {
    frame: &'a Frame,
    context: Option<Box<str>>,
    redecode: &'a Redecode,
    sites: &'a SiteTable,
    event: OnceCell<Event>,
}

impl<'a> Line<'a> {
    pub(super) fn new(frame: &'a Frame, context: Option<Box<str>>, redecode: &'a Redecode, sites: &'a SiteTable) -> Self {
        Self { frame, context, redecode, sites, event: OnceCell::new() }
    }

    pub(super) fn event(&self) -> &Event {
        self.event.get_or_init(|| event_of(self.frame, self.context.clone(), self.redecode))
    }

    fn record(&self) -> EventRecord<'_> {
        EventRecord { event: self.event(), sites: self.sites }
    }
}

impl Record for Line<'_> {
    fn seq(&self) -> Seq {
        self.frame.seq
    }
    fn timestamp(&self) -> Timestamp {
        self.event().timestamp
    }
    fn text(&self) -> &str {
        std::str::from_utf8(&self.frame.frame.payload).unwrap_or_else(|_| self.event().line())
    }
    fn defects(&self) -> Defects {
        self.event().defects
    }
    fn any_value(&self, field: FieldId, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        self.record().any_value(field, visit)
    }
    fn any_field(&self, visit: &mut dyn FnMut(FieldId, ValueRef<'_>) -> bool) -> bool {
        self.record().any_field(visit)
    }
}
