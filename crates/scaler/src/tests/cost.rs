//! What a turn costs, in CPU time of this thread.

use futures_util::StreamExt as _;

use super::set::later;
use super::*;

/// CPU time of this thread. A busy host does not change it as it does the time that passes.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// The CPU time of a turn at rest, the mean of 20, with so many services of two instances each.
async fn turn_at_rest(count: u32) -> Duration {
    let two = |file: String| file.replace("min = 1", "min = 2");
    let service = |index| {
        let file = later().replace("\"later\"", &format!("\"service-{index}\""));
        two(file.replace("\"/later\"", &format!("\"/{index}\"")))
    };
    let mut files: Vec<String> = (1..count).map(service).collect();
    files.push(two(store_file()));
    let files: Vec<_> = files.iter().map(|file| (file.as_str(), 1)).collect();
    let mut rig = Rig::with_files(&files);
    rig.ticks(2 * count as usize, 0).await;
    assert_eq!(rig.in_rotation(ServerState::Ready), 2 * count as usize);
    let before = cpu_time();
    rig.ticks(20, 0).await;
    (cpu_time() - before) / 20
}

/// The CPU time of a turn of 200 instances, the mean of 200, each with other requests in flight than before, and
/// the bytes of what is recorded of it.
async fn turn_of_200(readers: usize) -> (Duration, usize) {
    let file = store_file().replace("min = 1", "min = 200").replace("max = 10", "max = 200");
    let mut rig = Rig::with_files(&[(&file, 1)]);
    rig.ticks(150, 0).await;
    assert_eq!(rig.in_rotation(ServerState::Ready), 200);
    let begin = |_| rig.shared.recordings().begin(&store()).unwrap();
    let mut readers: Vec<_> = (0..readers).map(begin).collect();
    let mut taken = Vec::new();
    // The kernel counts in steps of a few milliseconds: single turns cannot be told.
    let before = cpu_time();
    for round in 0..200 {
        rig.balancer().set_figures(|services| {
            let servers = services.values_mut().flat_map(|figures| figures.servers.values_mut());
            servers.zip(round..).for_each(|(server, count)| server.in_flight = Some(count % 7));
        });
        rig.tick(500).await;
        for reader in &mut readers {
            taken.extend(std::iter::from_fn(|| reader.try_recv().ok()));
        }
    }
    ((cpu_time() - before) / 200, taken.last().map_or(0, Vec::len))
}

/// Prints what the documentation states, in a release build with `--nocapture`.
#[tokio::test(start_paused = true)]
async fn a_reader_of_200_instances_costs_less_than_the_turns_that_it_records() {
    let ((without, _), (with, bytes)) = (turn_of_200(0).await, turn_of_200(1).await);
    println!("a turn of 200 instances {without:?}, recorded {with:?}, in {bytes} bytes");
    assert!(with < without * 2, "{without:?}, recorded {with:?}");
}

/// Prints what a turn costs, which the documentation states: run in a release build, with
/// `--nocapture`.
#[tokio::test(start_paused = true)]
async fn the_work_of_a_turn_grows_with_the_services_and_not_with_their_square() {
    let (few, many) = (turn_at_rest(10).await, turn_at_rest(100).await);
    println!("a turn of 10 services {few:?}, of 100 services {many:?}");
    assert!(many < few * 30, "10 services: {few:?}, 100 services: {many:?}");
}

/// Prints what one reader of the feed costs with 200 instances of 20 services, in CPU time of ten turns, which are a
/// second: run in a release build, with `--nocapture`. What the reader takes of the socket is not in it.
#[tokio::test(start_paused = true)]
async fn one_reader_of_the_feed_costs_a_hundredth_of_a_core_at_most() {
    let ten = |file: String| file.replace("min = 1", "min = 10");
    let service = |index| {
        let file = later().replace("\"later\"", &format!("\"service-{index}\""));
        ten(file.replace("\"/later\"", &format!("\"/{index}\"")))
    };
    let files: Vec<String> = (0..20).map(service).collect();
    let files: Vec<_> = files.iter().map(|file| (file.as_str(), 1)).collect();
    let mut rig = Rig::with_files(&files);
    rig.ticks_of_all(400).await;
    assert_eq!(rig.in_rotation(ServerState::Ready), 200);
    let mut second = async |reads: bool| {
        let body = reads.then(|| rig.shared.feed().read().unwrap());
        let mut lines = body.map(axum::body::Body::into_data_stream);
        let before = cpu_time();
        for _ in 0..100 {
            rig.ticks_of_all(1).await;
            if let Some(lines) = &mut lines {
                lines.next().await.unwrap().unwrap();
            }
        }
        (cpu_time() - before) / 10
    };
    // By turns, so that what the machine does meanwhile is in both.
    let (mut without, mut with) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..4 {
        without += second(false).await / 4;
        with += second(true).await / 4;
    }
    println!("a second without a reader {without:?}, with one {with:?}");
    // In a build that is not for release, ten times that.
    let most = if cfg!(debug_assertions) { 100 } else { 10 };
    assert!(with < without + Duration::from_millis(most), "{without:?} {with:?}");
}
