//! What an operator asked for that stands for a while.

use std::io;
use std::sync::Arc;

use model::access::{Changed, Who};
use model::hold::{Hold, HoldRequest};
use model::names::InstanceName;
use model::service::ServiceSpec;

use super::SharedState;
use crate::clock;
use crate::standing::{Past, Standing};

impl SharedState {
    /// What stands.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.standing.held()
    }

    /// Holds a service at a number for a time, or gives it back to its policy. It holds from the next turn on, and after
    /// a restart.
    ///
    /// # Errors
    /// It could not be written; what held before goes on to hold.
    pub(crate) fn set_hold(
        &self,
        who: Who,
        spec: &ServiceSpec,
        asked: Option<HoldRequest>,
    ) -> io::Result<()> {
        let (now, service) = (clock::now(), spec.name.clone());
        // So that the end of an earlier one is noted as its own.
        self.forget_past(&self.standing().past(|_| false, now))?;
        let after = asked.map(|HoldRequest { ready, lasts }| Hold {
            ready,
            since: now,
            until: now.after(lasts.span()),
        });
        let before = self.standing().hold(&service, now);
        let changed = self.standing.change(|standing| match after {
            Some(hold) => drop(standing.holds.insert(service.clone(), hold)),
            None => drop(standing.holds.remove(&service)),
        })?;
        if changed {
            self.note(who, Changed::Hold { service, before, after });
        }
        Ok(())
    }

    /// Has an instance removed. It is noted once, however often it is asked for.
    ///
    /// # Errors
    /// It could not be written, and nothing happens to it.
    pub(crate) fn ask_removal(&self, who: Who, instance: InstanceName) -> io::Result<()> {
        let asked = self.standing.change(|standing| {
            standing.removals.insert(instance.clone());
        })?;
        if asked {
            let service = instance.service().clone();
            self.note(who, Changed::Removal { service, instance });
        }
        Ok(())
    }

    /// Forgets what stands no longer, and notes the ends of holds.
    ///
    /// # Errors
    /// It could not be written. What is past has no effect, and is forgotten another time.
    pub(crate) fn forget_past(&self, past: &Past) -> io::Result<()> {
        let before = self.standing();
        self.standing.change(|standing| standing.forget(past))?;
        let after = self.standing();
        for (service, hold) in &past.holds {
            if before.holds.get(service) == Some(hold) && !after.holds.contains_key(service) {
                let changed =
                    Changed::Hold { service: service.clone(), before: Some(*hold), after: None };
                self.note(Who::Time, changed);
            }
        }
        Ok(())
    }
}
