//! What a turn costs, in CPU time of this thread.

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

/// Prints what a turn costs, which the documentation states: run in a release build, with
/// `--nocapture`.
#[tokio::test(start_paused = true)]
async fn the_work_of_a_turn_grows_with_the_services_and_not_with_their_square() {
    let (few, many) = (turn_at_rest(10).await, turn_at_rest(100).await);
    println!("a turn of 10 services {few:?}, of 100 services {many:?}");
    assert!(many < few * 30, "10 services: {few:?}, 100 services: {many:?}");
}
