//! Rows as bytes: a figure takes 4 or 8 of them and two bits that say which; decision 43 has what else was measured.
//!
//! A number of turns or measures is in 7 bits a byte, lowest first, the eighth says that more follow. A mean and a
//! maximum are `f32`, lowest byte first: seven digits. Behind the figures of a service are its answers, if there are any:
//! how many of each class, and of each bucket of time that has some, as its distance from the one before.

use model::instance::Phase;
use model::names::{InstanceName, ServiceName, Slot};
use model::time::Timestamp;

use super::answers::Answers;
use super::figure::Figure;
use super::point::{InstancePoint, MEASURES, ServicePoint};

/// Bytes that are no row: of a file that is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of the history cannot be read")]
pub struct Unreadable;

/// How a figure is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing is known.
    Absent = 0,
    /// As many values as turns, all the same: that one.
    Same = 1,
    /// As many values as turns: mean and maximum.
    Full = 2,
    /// Another number of values: that, mean and maximum.
    Counted = 3,
}

impl Form {
    fn of(figure: Figure, turns: u32) -> Self {
        match (figure.mean().zip(figure.max()), figure.count() == turns) {
            (None, _) => Self::Absent,
            (Some((mean, max)), true) if narrow(mean) == narrow(max) => Self::Same,
            (Some(_), true) => Self::Full,
            (Some(_), false) => Self::Counted,
        }
    }

    fn read(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::Absent,
            1 => Self::Same,
            2 => Self::Full,
            _ => Self::Counted,
        }
    }
}

/// A service's span as bytes.
pub fn encode_service(point: &ServicePoint) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(96);
    number(&mut bytes, point.turns.into());
    number(&mut bytes, MEASURES as u64);
    let forms = point
        .figures
        .iter()
        .rev()
        .fold(0, |bits, figure| bits << 2 | Form::of(*figure, point.turns) as u64);
    number(&mut bytes, forms);
    point.figures.iter().for_each(|it| write(&mut bytes, *it, point.turns));
    if !point.answers.is_empty() {
        write_answers(&mut bytes, &point.answers);
    }
    bytes
}

/// Reads what [`encode_service`] wrote, of this release or one that knew fewer measures, or no answers.
///
/// # Errors
/// It did not write that.
pub fn decode_service(bytes: &[u8]) -> Result<ServicePoint, Unreadable> {
    let mut rest = bytes;
    let turns = small(&mut rest)?;
    let measures = usize::try_from(take_number(&mut rest)?).map_err(|_| Unreadable)?;
    let mut forms = take_number(&mut rest)?;
    let mut point = ServicePoint { turns, ..ServicePoint::default() };
    for figure in point.figures.iter_mut().take(measures) {
        *figure = read(&mut rest, Form::read(forms), turns)?;
        forms >>= 2;
    }
    if !rest.is_empty() {
        point.answers = take_answers(&mut rest)?;
    }
    if rest.is_empty() { Ok(point) } else { Err(Unreadable) }
}

fn write_answers(bytes: &mut Vec<u8>, answers: &Answers) {
    let (by_class, times) = answers.parts();
    by_class.into_iter().for_each(|count| number(bytes, count));
    number(bytes, times.len() as u64);
    let mut before = 0;
    for (bucket, count) in times {
        number(bytes, (bucket - before).into());
        number(bytes, count);
        before = bucket;
    }
}

fn take_answers(rest: &mut &[u8]) -> Result<Answers, Unreadable> {
    let mut by_class = [0; 4];
    for count in &mut by_class {
        *count = take_number(rest)?;
    }
    let mut bucket = 0_u16;
    let mut times = Vec::new();
    for _ in 0..take_number(rest)? {
        let distance = u16::try_from(take_number(rest)?).map_err(|_| Unreadable)?;
        bucket = bucket.checked_add(distance).ok_or(Unreadable)?;
        times.push((bucket, take_number(rest)?));
    }
    Answers::from_parts(by_class, times).ok_or(Unreadable)
}

/// The instances of one service over a span as bytes.
pub fn encode_instances(instances: &[InstancePoint]) -> Vec<u8> {
    let figures = |it: &InstancePoint| [it.cpu_cores, it.in_flight, it.requests_rps];
    let values = instances.iter().flat_map(figures).map(Figure::count).max().unwrap_or_default();
    let mut bytes = Vec::with_capacity(4 + 24 * instances.len());
    number(&mut bytes, instances.len() as u64);
    number(&mut bytes, values.into());
    for instance in instances {
        number(&mut bytes, instance.name.slot().get().into());
        number(&mut bytes, instance.name.birth().as_millis());
        let forms = figures(instance)
            .iter()
            .rev()
            .fold(0, |bits, figure| bits << 2 | Form::of(*figure, values) as u64);
        number(&mut bytes, forms << 2 | phase_bits(instance.phase));
        figures(instance).iter().for_each(|it| write(&mut bytes, *it, values));
    }
    bytes
}

/// Reads what [`encode_instances`] wrote of that service.
///
/// # Errors
/// It did not write that.
pub fn decode_instances(
    service: &ServiceName,
    bytes: &[u8],
) -> Result<Vec<InstancePoint>, Unreadable> {
    let mut rest = bytes;
    let count = take_number(&mut rest)?;
    let values = small(&mut rest)?;
    let instances = (0..count).map(|_| instance(service, &mut rest, values));
    let instances = instances.collect::<Result<_, _>>()?;
    if rest.is_empty() { Ok(instances) } else { Err(Unreadable) }
}

fn instance(
    service: &ServiceName,
    rest: &mut &[u8],
    values: u32,
) -> Result<InstancePoint, Unreadable> {
    let slot = Slot::try_from(small(rest)?).map_err(|_| Unreadable)?;
    let birth = Timestamp::from_millis(take_number(rest)?);
    let bits = take_number(rest)?;
    let mut figure = |shift: u32| read(rest, Form::read(bits >> shift), values);
    Ok(InstancePoint {
        name: InstanceName::new(service, slot, birth),
        phase: phase(bits),
        cpu_cores: figure(2)?,
        in_flight: figure(4)?,
        requests_rps: figure(6)?,
    })
}

fn phase_bits(phase: Phase) -> u64 {
    match phase {
        Phase::Starting => 0,
        Phase::Ready => 1,
        Phase::Draining => 2,
        Phase::Failed => 3,
    }
}

fn phase(bits: u64) -> Phase {
    match bits & 3 {
        0 => Phase::Starting,
        1 => Phase::Ready,
        2 => Phase::Draining,
        _ => Phase::Failed,
    }
}

fn write(bytes: &mut Vec<u8>, figure: Figure, turns: u32) {
    let (mean, max) = (figure.mean().unwrap_or_default(), figure.max().unwrap_or_default());
    match Form::of(figure, turns) {
        Form::Absent => {}
        Form::Same => bytes.extend(narrow(mean).to_le_bytes()),
        Form::Full => bytes.extend([narrow(mean), narrow(max)].map(f32::to_le_bytes).concat()),
        Form::Counted => {
            number(bytes, figure.count().into());
            bytes.extend([narrow(mean), narrow(max)].map(f32::to_le_bytes).concat());
        }
    }
}

fn read(rest: &mut &[u8], form: Form, turns: u32) -> Result<Figure, Unreadable> {
    Ok(match form {
        Form::Absent => Figure::default(),
        Form::Same => {
            let mean = take_float(rest)?;
            Figure::from_parts(turns, mean, mean)
        }
        Form::Full => Figure::from_parts(turns, take_float(rest)?, take_float(rest)?),
        Form::Counted => {
            let count = small(rest)?;
            Figure::from_parts(count, take_float(rest)?, take_float(rest)?)
        }
    })
}

/// Seven digits of a figure are more than anybody draws.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is past f32 becomes infinite, and is no figure"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(0x80 | value.to_le_bytes()[0]);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn take_number(rest: &mut &[u8]) -> Result<u64, Unreadable> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, behind) = rest.split_first().ok_or(Unreadable)?;
        *rest = behind;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Unreadable)
}

fn small(rest: &mut &[u8]) -> Result<u32, Unreadable> {
    u32::try_from(take_number(rest)?).map_err(|_| Unreadable)
}

fn take_float(rest: &mut &[u8]) -> Result<f64, Unreadable> {
    let (first, behind) = rest.split_first_chunk().ok_or(Unreadable)?;
    *rest = behind;
    Some(f32::from_le_bytes(*first)).filter(|it| it.is_finite()).map(f64::from).ok_or(Unreadable)
}
