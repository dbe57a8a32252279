//! The set that is in force, and what it met.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::set::IndicatorSet;
use super::sighting::Sightings;

/// The set that is in force. Who holds a clone sees at next to no cost whether it has changed.
#[derive(Clone, Debug, Default)]
pub struct SharedIndicators(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    generation: AtomicU64,
    set: RwLock<Arc<IndicatorSet>>,
    sightings: Sightings,
}

impl SharedIndicators {
    pub fn new(set: Arc<IndicatorSet>) -> Self {
        Self(Arc::new(Shared { generation: AtomicU64::new(1), set: RwLock::new(set), sightings: Sightings::default() }))
    }

    pub fn get(&self) -> Arc<IndicatorSet> {
        self.0.set.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, set: Arc<IndicatorSet>) {
        *self.0.set.write().unwrap_or_else(PoisonError::into_inner) = set;
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// Another number with each set.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// What was met, from whoever judges.
    pub fn sightings(&self) -> &Sightings {
        &self.0.sightings
    }
}
