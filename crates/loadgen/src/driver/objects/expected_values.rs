//! Which values an object may have, given the writes that were acknowledged and those under way.
//!
//! A read may return the value of any write that is not wholly older than another acknowledged
//! one: of the writes that were current when it began, and of those that began while it ran. That
//! is what a single copy of the object would allow (linearizability), and nothing more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use workload::KeyIndex;

use super::content::Version;

/// A write without an acknowledgement may still take effect, so it is remembered. Beyond this many
/// of them for one key, a service is so broken that the key is no longer judged.
const MAX_UNCERTAIN: usize = 256;

/// What a key may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// No object.
    Absent,
    /// An object of this version.
    Present(Version),
}

/// What the objects of a run may hold, by key.
#[derive(Debug, Default)]
pub(crate) struct ExpectedValues {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<KeyIndex, Key>,
    /// Orders the beginnings and ends of all operations.
    clock: u64,
}

#[derive(Debug)]
struct Key {
    possible: Vec<Write>,
    /// Reads under way, and what each of them may return.
    reads: HashMap<u64, Vec<Value>>,
    lost_track: bool,
}

#[derive(Debug, Clone, Copy)]
struct Write {
    value: Value,
    began: u64,
    acknowledged: Option<u64>,
}

/// A read under way.
#[derive(Debug)]
pub(crate) struct Read {
    key: KeyIndex,
    id: u64,
}

/// A write under way.
#[derive(Debug)]
pub(crate) struct PendingWrite {
    key: KeyIndex,
    began: u64,
}

/// Whether a value that was read is one that the key may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is.
    Expected,
    /// It was replaced before the read began, or never acknowledged as current.
    Outdated,
    /// There must be an object, and none was found.
    Lost,
}

impl ExpectedValues {
    /// A read begins. It ends with [`Self::end_read`].
    pub(crate) fn begin_read(&self, key: KeyIndex) -> Read {
        let mut state = self.lock();
        let id = state.tick();
        let entry = state.key(key);
        let possible = entry.possible.iter().map(|w| w.value).collect();
        entry.reads.insert(id, possible);
        Read { key, id }
    }

    /// A read ends; `found` is what it returned, if it returned anything.
    pub(crate) fn end_read(&self, read: &Read, found: Option<Value>) -> Verdict {
        let mut state = self.lock();
        let key = state.key(read.key);
        let possible = key.reads.remove(&read.id).unwrap_or_default();
        match found {
            None => Verdict::Expected,
            Some(_) if key.lost_track => Verdict::Expected,
            Some(value) if possible.contains(&value) => Verdict::Expected,
            Some(Value::Absent) => Verdict::Lost,
            Some(Value::Present(_)) => Verdict::Outdated,
        }
    }

    /// A PUT of a body of this size begins. Returns the version to store, and the write to end.
    pub(crate) fn begin_put(&self, key: KeyIndex, bytes: u32) -> (Version, PendingWrite) {
        let mut state = self.lock();
        let began = state.tick();
        let version = Version { number: began, bytes };
        (version, state.begin_write(key, began, Value::Present(version)))
    }

    /// A DELETE begins.
    pub(crate) fn begin_delete(&self, key: KeyIndex) -> PendingWrite {
        let mut state = self.lock();
        let began = state.tick();
        state.begin_write(key, began, Value::Absent)
    }

    /// A write was acknowledged: what was acknowledged before it began is no longer possible. A
    /// write without an acknowledgement is never ended, since it may take effect at any time.
    pub(crate) fn acknowledge(&self, write: &PendingWrite) {
        let mut state = self.lock();
        let now = state.tick();
        let possible = &mut state.key(write.key).possible;
        if let Some(own) = possible.iter_mut().find(|w| w.began == write.began) {
            own.acknowledged = Some(now);
            possible.retain(|w| w.acknowledged.is_none_or(|end| end > write.began));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn key(&mut self, key: KeyIndex) -> &mut Key {
        self.keys.entry(key).or_insert_with(Key::new)
    }

    fn begin_write(&mut self, key: KeyIndex, began: u64, value: Value) -> PendingWrite {
        let entry = self.key(key);
        entry.possible.push(Write { value, began, acknowledged: None });
        if entry.possible.len() > MAX_UNCERTAIN {
            entry.lost_track = true;
            entry.possible.remove(0);
        }
        entry.reads.values_mut().for_each(|values| values.push(value));
        PendingWrite { key, began }
    }
}

impl Key {
    /// At the start of a run its keys are absent: they bear the run's name.
    fn new() -> Self {
        let absent = Write { value: Value::Absent, began: 0, acknowledged: Some(0) };
        Self { possible: vec![absent], reads: HashMap::new(), lost_track: false }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const KEY: KeyIndex = KeyIndex(0);

    fn read(values: &ExpectedValues, value: Value) -> Verdict {
        let read = values.begin_read(KEY);
        values.end_read(&read, Some(value))
    }

    fn put(values: &ExpectedValues) -> Value {
        let (version, write) = values.begin_put(KEY, 64);
        values.acknowledge(&write);
        Value::Present(version)
    }

    #[test]
    fn an_acknowledged_put_is_the_only_value() {
        let values = ExpectedValues::default();
        assert_eq!(read(&values, Value::Absent), Verdict::Expected);
        let (old, new) = (put(&values), put(&values));
        assert_eq!(read(&values, new), Verdict::Expected);
        assert_eq!(read(&values, old), Verdict::Outdated);
        assert_eq!(read(&values, Value::Absent), Verdict::Lost);
    }

    #[test]
    fn a_key_may_be_absent_only_after_its_delete_began() {
        let values = ExpectedValues::default();
        let value = put(&values);
        let delete = values.begin_delete(KEY);
        assert_eq!(read(&values, Value::Absent), Verdict::Expected);
        assert_eq!(read(&values, value), Verdict::Expected);
        values.acknowledge(&delete);
        assert_eq!(read(&values, Value::Absent), Verdict::Expected);
        assert_eq!(read(&values, value), Verdict::Outdated);
    }

    #[test]
    fn of_two_puts_at_once_either_may_win() {
        let values = ExpectedValues::default();
        let (one, first) = values.begin_put(KEY, 64);
        let (two, second) = values.begin_put(KEY, 64);
        values.acknowledge(&second);
        values.acknowledge(&first);
        assert_eq!(read(&values, Value::Present(one)), Verdict::Expected);
        assert_eq!(read(&values, Value::Present(two)), Verdict::Expected);
        let after = put(&values);
        assert_eq!(read(&values, Value::Present(one)), Verdict::Outdated);
        assert_eq!(read(&values, after), Verdict::Expected);
    }

    #[test]
    fn a_read_may_return_what_was_current_at_any_time_while_it_ran() {
        for choice in 0..3 {
            let values = ExpectedValues::default();
            let before = put(&values);
            let read = values.begin_read(KEY);
            let returned = [before, put(&values), put(&values)];
            assert_eq!(values.end_read(&read, Some(returned[choice])), Verdict::Expected);
        }
    }

    #[test]
    fn a_put_without_an_answer_may_take_effect_at_any_time() {
        let values = ExpectedValues::default();
        let (late, _never_acknowledged) = values.begin_put(KEY, 64);
        let current = put(&values);
        assert_eq!(read(&values, current), Verdict::Expected);
        assert_eq!(read(&values, Value::Present(late)), Verdict::Expected);
    }

    #[test]
    fn a_key_with_too_many_uncertain_writes_is_no_longer_judged() {
        let values = ExpectedValues::default();
        let old = put(&values);
        for _ in 0..MAX_UNCERTAIN {
            let _ = values.begin_put(KEY, 64);
        }
        assert_eq!(read(&values, old), Verdict::Expected);
    }

    /// An operation under way against a store without fault.
    enum UnderWay {
        Read { read: Read, seen: Option<Value> },
        Write { write: PendingWrite, value: Value, done: bool },
    }

    impl UnderWay {
        fn begin(values: &ExpectedValues, kind: u8) -> Self {
            match kind {
                0 => Self::Read { read: values.begin_read(KEY), seen: None },
                1 => {
                    let (version, write) = values.begin_put(KEY, 64);
                    Self::Write { write, value: Value::Present(version), done: false }
                }
                _ => {
                    let write = values.begin_delete(KEY);
                    Self::Write { write, value: Value::Absent, done: false }
                }
            }
        }

        /// The operation takes effect: at one moment between its beginning and its end.
        fn take_effect(&mut self, register: &mut Value) {
            match self {
                Self::Read { seen, .. } => {
                    seen.get_or_insert(*register);
                }
                Self::Write { value, done, .. } => {
                    if !std::mem::replace(done, true) {
                        *register = *value;
                    }
                }
            }
        }

        fn end(mut self, values: &ExpectedValues, register: &mut Value) -> Verdict {
            self.take_effect(register);
            match self {
                Self::Read { read, seen } => values.end_read(&read, seen),
                Self::Write { write, .. } => {
                    values.acknowledge(&write);
                    Verdict::Expected
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_store_without_fault_is_never_accused(
            script in prop::collection::vec((0_u8..3, 0_u8..3, 0_usize..6), 0..200),
        ) {
            let (values, mut register) = (ExpectedValues::default(), Value::Absent);
            let mut open: BTreeMap<usize, UnderWay> = BTreeMap::new();
            for (kind, step, place) in script {
                // Six clients: each begins an operation, lets it take effect early, or ends it.
                match (open.remove(&place), step) {
                    (None, _) => {
                        open.insert(place, UnderWay::begin(&values, kind));
                    }
                    (Some(mut operation), 0 | 1) => {
                        operation.take_effect(&mut register);
                        open.insert(place, operation);
                    }
                    (Some(operation), _) => {
                        prop_assert_eq!(operation.end(&values, &mut register), Verdict::Expected);
                    }
                }
            }
        }
    }
}
