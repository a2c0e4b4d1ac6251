//! A new version is watched beside the old one by what the load balancer counts of each.

use model::version::Rollout;

use super::*;

const OLD: Version = Version::new(1);
const NEW: Version = Version::new(2);

/// The store, whose new versions are watched for 5 s.
fn watched_store() -> String {
    let file = store_file().replace("watch_ms = 0", "watch_ms = 5_000");
    assert_ne!(file, store_file());
    file
}

/// A host with three ready instances of the old version, on which the new one is deployed.
async fn deployed() -> Rig {
    let mut rig = Rig::with_files(&[(&watched_store(), 1)]);
    rig.ticks(20, 10).await;
    assert_eq!(of_version(&rig, OLD), 3);
    rig.deploy(&[(&watched_store(), 2)]);
    for _ in 0..5 {
        rig.tick(10).await;
    }
    assert!(matches!(rig.status().rollout, Some(Rollout::Watching { .. })));
    rig
}

fn of_version(rig: &Rig, version: Version) -> usize {
    let instances = rig.status().instances;
    instances.iter().filter(|instance| instance.version == Some(version)).count()
}

/// A tick in which each instance answers one request, and those of the versions in `failing` with 500.
async fn tick(rig: &mut Rig, failing: &[Version]) -> Tick {
    let fails = |version: Option<Version>| version.is_some_and(|own| failing.contains(&own));
    let instances = rig.status().instances;
    rig.balancer().set_figures(|services| {
        let servers = &mut services.get_mut(&store()).unwrap().servers;
        for instance in &instances {
            let Some(server) = servers.get_mut(&instance.slot) else { continue };
            let more =
                |count: &mut Option<u64>, by: bool| *count = count.map(|n| n + u64::from(by));
            more(&mut server.answers, true);
            more(&mut server.server_errors, fails(instance.version));
        }
    });
    rig.tick(10).await
}

#[tokio::test(start_paused = true)]
async fn a_version_that_fails_every_second_request_is_given_up_with_its_figures_and_last_lines() {
    let mut rig = deployed().await;
    let canary = rig.status().instances.into_iter().find(|it| it.version == Some(NEW)).unwrap();
    let folder = rig.state.path().join("output").join(store().as_str());
    std::fs::create_dir_all(&folder).unwrap();
    let line = "5 o no such table: cats\n";
    std::fs::write(folder.join(format!("{}.log", canary.name)), line).unwrap();
    let ticks = async {
        for turn in 0..30 {
            let failing: &[Version] = if turn % 2 == 0 { &[NEW] } else { &[] };
            let tick = tick(&mut rig, failing).await;
            assert!(of_version(&rig, OLD) >= 3);
            if !matches!(tick.rollout, Some(Rollout::Watching { .. })) {
                return tick;
            }
        }
        panic!("nothing was found in 3 s")
    };
    let tick = ticks.await;
    let Some(Rollout::GivenUp { version, reason, .. }) = tick.rollout else { panic!("{tick:?}") };
    assert_eq!(version, OLD);
    insta::assert_snapshot!(reason, @"3 of 5 answers of the new version were 5xx or broke off, and 0 of 15 of version 00000001");
    let wrote: Vec<_> = tick.given_up.iter().map(|it| (&it.instance, &it.last_lines[..])).collect();
    assert_eq!(wrote, [(&canary.name, &["no such table: cats".to_owned()][..])]);
    rig.ticks(10, 10).await;
    assert_eq!((of_version(&rig, OLD), of_version(&rig, NEW)), (3, 0));
    assert_eq!(rig.in_rotation(ServerState::Ready), 3);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_fails_as_the_old_one_does_serves_after_its_time() {
    let mut rig = deployed().await;
    for turn in 0..60 {
        let failing: &[Version] = if turn % 2 == 0 { &[OLD, NEW] } else { &[] };
        tick(&mut rig, failing).await;
    }
    assert_eq!(rig.status().rollout, Some(Rollout::Serving { version: NEW }));
}

#[tokio::test(start_paused = true)]
async fn a_scaler_that_is_killed_during_a_watch_begins_it_anew_and_counts_nothing_of_before() {
    let mut rig = deployed().await;
    for _ in 0..2 {
        tick(&mut rig, &[NEW]).await;
    }
    rig.restart().await;
    // The first two looks find the version on trial and what is counted from now on.
    for _ in 0..2 {
        tick(&mut rig, &[]).await;
    }
    let tick = tick(&mut rig, &[]).await;
    let watched = tick.observation.watched.unwrap();
    assert_eq!((watched.new.answers.failed, watched.old.ready, watched.new.ready), (0, 3, 1));
    assert!(watched.new.answers.all > 0, "{watched:?}");
}
