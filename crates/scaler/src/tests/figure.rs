//! Services of which nobody knows what an instance serves, and a host that is full.

use host::processors::ProcessorTimes;
use model::decision::{Decision, Reason};
use model::instance::Phase;

use super::*;

/// A host with such a service, whose instances and processors are told how they use CPU time.
struct Busy {
    rig: Rig,
    used: Duration,
    counted: ProcessorTimes,
}

impl Busy {
    fn new() -> Self {
        let rig = Rig::with_files(&[(&without_a_figure(), 1)]);
        let counted = ProcessorTimes { cores: 8, busy: 1_000, idle: 1_000 };
        Self { rig, used: Duration::ZERO, counted }
    }

    /// A tenth of a second in which all ready instances together use so many cores and all that runs this share of
    /// the host, and so many requests are in flight.
    async fn tick(&mut self, cores: f64, of_the_host: f64, in_flight: u64) -> Tick {
        let status = self.rig.status();
        self.used += SETTINGS.tick.mul_f64(cores / f64::from(status.phases.ready.max(1)));
        let containers = self.rig.actor.containers();
        for instance in status.instances {
            // One that starts uses all that it can, which is none of the load's.
            let starting = if instance.phase == Phase::Starting { 1_000 } else { 0 };
            containers.set_cpu_time(&instance.name, self.used + Duration::from_secs(starting));
        }
        // Eighty hundredths of a second of all cores.
        let busy = [0.0, 0.5, 1.0].iter().position(|share| *share >= of_the_host).unwrap() as u64;
        self.counted.busy += busy * 40;
        self.counted.idle += 80 - busy * 40;
        containers.set_processor_times(Some(self.counted));
        self.rig.balancer().set_figures(|services| {
            if let Some(figures) = services.get_mut(&store()) {
                figures.in_flight = Some(in_flight);
            }
        });
        self.rig.tick(1).await
    }

    async fn ticks(&mut self, count: u32, [own, host]: [f64; 2], in_flight: u64) -> Tick {
        for _ in 1..count {
            self.tick(own, host, in_flight).await;
        }
        self.tick(own, host, in_flight).await
    }
}

fn decided(tick: &Tick) -> (u32, &[Reason]) {
    let Decision::Target { ready, reasons } = &tick.decision else { panic!("{tick:?}") };
    (*ready, reasons)
}

#[tokio::test(start_paused = true)]
async fn a_service_without_a_figure_is_scaled_on_requests_in_flight_and_on_cpu_time() {
    let mut busy = Busy::new();
    let tick = busy.ticks(15, [0.1, 0.5], 2).await;
    assert_eq!(decided(&tick), (1, &[Reason::InFlight][..]));
    // Eight at a time, of which 6.4 are aimed for.
    let tick = busy.ticks(15, [0.1, 0.5], 20).await;
    assert_eq!(decided(&tick), (4, &[Reason::InFlight][..]));
    assert_eq!(busy.rig.status().phases, ready(4));
    let tick = busy.ticks(15, [3.9, 0.5], 2).await;
    assert_eq!(decided(&tick), (5, &[Reason::Cpu][..]), "3.9 cores at 80% of one");
    let tick = busy.ticks(130, [0.1, 0.5], 2).await;
    assert_eq!(decided(&tick), (1, &[Reason::InFlight][..]));
}

#[tokio::test(start_paused = true)]
async fn where_the_cpu_time_of_instances_cannot_be_told_nothing_is_scaled_in() {
    let mut rig = Rig::with_files(&[(&without_a_figure(), 1)]);
    let in_flight = |rig: &Rig, many| {
        rig.balancer().set_figures(|services| {
            services.get_mut(&store()).unwrap().in_flight = Some(many);
        });
    };
    rig.tick(1).await;
    in_flight(&rig, 20);
    assert_eq!(rig.ticks(20, 1).await, ready(4));
    in_flight(&rig, 2);
    assert_eq!(rig.ticks(200, 1).await, ready(4));
    let tick = rig.tick(1).await;
    assert_eq!((tick.observation.cpu_cores, decided(&tick)), (None, (4, &[Reason::NotKnown][..])));
}

#[tokio::test(start_paused = true)]
async fn a_full_host_is_told_in_status_and_ticks_and_gets_no_more_instances() {
    let mut busy = Busy::new();
    busy.ticks(15, [0.5, 0.5], 2).await;
    busy.ticks(12, [1.9, 1.0], 10).await;
    let tick = busy.ticks(20, [1.9, 1.0], 40).await;
    let (ready, reasons) = decided(&tick);
    assert_eq!(reasons, [Reason::InFlight, Reason::HostSaturated]);
    let host_cpu = tick.observation.host_cpu.unwrap();
    assert_eq!((host_cpu.cores, host_cpu.busy), (8, 1.0));
    let there = busy.rig.status().phases.ready;
    assert_eq!((ready, there), (3, 3), "1.9 cores at 80% of one");
    let tick = busy.ticks(100, [1.9, 1.0], 60).await;
    assert_eq!((decided(&tick).0, busy.rig.status().phases.ready), (there, there));
    assert_eq!(busy.rig.status().tick.as_ref(), Some(&tick));
    let kept = busy.rig.shared.ticks(0, 1_000);
    let says = |tick: &Tick| match &tick.decision {
        Decision::Target { reasons, .. } => reasons.contains(&Reason::HostSaturated),
        Decision::Hold { .. } => false,
    };
    assert!(kept.iter().any(says));
    let tick = busy.ticks(20, [0.3, 0.5], 60).await;
    assert_eq!(decided(&tick).0, 10, "there is room again");
}
