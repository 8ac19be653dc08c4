//! A store in memory that outlives its manager, and that fails or takes its time when the test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use service_orchestration::report::Event;
use service_orchestration::spec::{StackName, UnitId};
use service_orchestration::store::{
    Batch, DefinitionKey, Kept, StackRecord, Store, StoreError, UnitRecord,
};

/// The store. A clone is the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf(Arc<(Mutex<Goods>, Condvar)>);

#[derive(Debug, Default)]
pub(crate) struct Goods {
    pub(crate) stacks: BTreeMap<StackName, StackRecord>,
    pub(crate) units: BTreeMap<UnitId, UnitRecord>,
    pub(crate) events: BTreeMap<u64, Event>,
    /// Every record of a unit that was ever kept, in order.
    pub(crate) history: Vec<UnitRecord>,
    /// How often something was written.
    pub(crate) writes: usize,
    closed: bool,
    /// Writes that wait for it to open.
    waiting: u32,
    full: bool,
    key: DefinitionKey,
}

impl Shelf {
    pub(crate) fn goods(&self) -> MutexGuard<'_, Goods> {
        self.0
            .0
            .lock()
            .expect("no test panics while it holds the goods")
    }

    /// Writes take until it is opened again.
    pub(crate) fn close(&self) {
        self.goods().closed = true;
    }

    pub(crate) fn open(&self) {
        self.goods().closed = false;
        self.0.1.notify_all();
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        self.goods().waiting > 0
    }

    /// Whether there is room.
    pub(crate) fn set_full(&self, full: bool) {
        self.goods().full = full;
    }
}

impl Store for Shelf {
    fn load(&self) -> Result<Kept, StoreError> {
        let goods = self.goods();
        Ok(Kept {
            stacks: goods.stacks.values().cloned().collect(),
            units: goods.units.values().cloned().collect(),
            events: goods.events.values().cloned().collect(),
            key: goods.key.clone(),
            ..Kept::default()
        })
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut goods = self.goods();
        goods.waiting += 1;
        let opened = self.0.1.wait_while(goods, |goods| goods.closed);
        let mut goods = opened.expect("no test panics while it holds the goods");
        goods.waiting -= 1;
        if goods.full {
            return Err(StoreError::Full {
                path: "shelf".into(),
                source: "no room".into(),
            });
        }
        goods.writes += 1;
        for (name, stack) in &batch.stacks {
            match stack {
                Some(stack) => drop(goods.stacks.insert(name.clone(), stack.clone())),
                None => drop(goods.stacks.remove(name)),
            }
        }
        for (id, unit) in &batch.units {
            match unit {
                Some(unit) => {
                    goods.history.push(unit.clone());
                    goods.units.insert(id.clone(), unit.clone());
                }
                None => drop(goods.units.remove(id)),
            }
        }
        for event in &batch.events {
            goods.events.insert(event.seq, event.as_ref().clone());
        }
        Ok(())
    }
}
