//! What is told of the machine.

use model::action::LaunchStep;
use model::machine::{DoctorStatus, MachineRoom, MachineStatus};

use super::api::ask;
use super::*;

async fn machine(rig: &Rig) -> MachineStatus {
    let (status, text) = ask(rig, "GET", "/v1/host", "").await;
    assert_eq!(status, axum::http::StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_machine_says_what_instances_may_take_and_have_and_what_is_not_known() {
    let mut rig = Rig::new();
    assert_eq!(machine(&rig).await.room, None, "before the first turn");
    rig.ticks(6, 1).await;
    let told = machine(&rig).await;
    let instances = u64::from(rig.status().phases.ready);
    assert!(instances > 0);
    let mib = u64::from(rig.deployed().spec.instance.memory_mib);
    let last = u32::from(Subnet::DEFAULT.last_slot());
    let used = u32::try_from(instances).unwrap();
    let expected = MachineRoom {
        memory_mib: MEMORY_MIB,
        left_mib: MEMORY_MIB - instances * mib,
        promised_mib: 0,
        slots_used: used,
        slots_free: last - used,
        slots_withheld: 0,
    };
    assert_eq!(told.room, Some(expected));
    assert!(told.processors.is_some() && told.memory.is_some() && told.disk.is_some(), "{told:?}");
    assert_eq!(told.haproxy, None, "nobody answers on its sockets");
}

#[tokio::test]
async fn what_the_doctor_says_is_told_also_where_it_came_to_no_end() {
    let rig = Rig::new();
    let (_, text) = ask(&rig, "GET", "/v1/host/doctor", "").await;
    let told: DoctorStatus = serde_json::from_str(&text).unwrap();
    assert!(told.at.is_some() && told.problem.is_some() && told.checks.is_empty(), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_launch_tells_how_long_each_of_its_steps_took() {
    let mut rig = Rig::new();
    let mut done = Vec::new();
    for _ in 0..6 {
        done.extend(rig.tick(0).await.done);
    }
    let [launch] = &done[..] else { panic!("{done:?}") };
    let steps: Vec<LaunchStep> = launch.steps.iter().map(|it| it.step).collect();
    assert_eq!(steps, [LaunchStep::Clone, LaunchStep::Health, LaunchStep::Rotation]);
}
