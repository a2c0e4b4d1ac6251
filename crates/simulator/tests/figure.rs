//! What is simulated of a service of which nobody knows what an instance serves, and what is not.

// Helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use simulator::Setup;
use simulator::input::{Choices, Folders, InputError, Source};

const SERVICE: &str = "name = \"app\"\nimage = \"python\"\nroute = { path_prefix = \"/\" }\n\
    instance = { port = 8000, health_path = \"/\", memory_mib = 64, cpus = 1.0, processes = 64 }\n\
    bounds = { min = 1, max = 10 }\n";

/// Folders with the service, and with a scenario that counts in requests and one that counts in instances.
fn folders(folder: &Path) -> Folders {
    let folders = Folders {
        results: folder.join("results"),
        scenarios: folder.to_owned(),
        traces: folder.to_owned(),
        policies: folder.join("policies"),
        services: folder.to_owned(),
    };
    fs::create_dir(&folders.policies).unwrap();
    fs::write(folder.join("app.toml"), SERVICE).unwrap();
    for (name, unit) in [("by-requests", "requests_per_second"), ("by-instances", "instances")] {
        let scenario = format!(
            "name = \"{name}\"\nservice = \"app\"\nseed = 1\nunit = \"{unit}\"\n\
             [[phases]]\nkind = \"constant\"\nduration_s = 20\nrate = 5\n[objects]\ncount = 3\n"
        );
        fs::write(folder.join(format!("{name}.toml")), scenario).unwrap();
    }
    fs::write(folder.join("trace.csv"), "second,requests\n0,3\n1,4\n2,5\n").unwrap();
    folders
}

#[test]
fn what_needs_the_figure_says_so_and_the_rest_is_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let folders = folders(folder.path());
    let setup = |source: Source, choices: Choices| -> Result<Setup, InputError> {
        folders.setup(&source, &choices)
    };
    let scenario = |name: &str| Source::Scenario(name.to_owned());
    let refused = |source, choices| setup(source, choices).unwrap_err().to_string();
    assert_eq!(
        refused(scenario("by-instances"), Choices::default()),
        "scenario by-instances counts its rates in instances, and nothing says what one instance \
         serves: give capacity.requests_per_second in the service's file"
    );
    let of_app = Choices { service: Some("app".to_owned()), ..Choices::default() };
    assert_eq!(
        refused(Source::Trace(folder.path().join("trace.csv")), of_app),
        "capacity.requests_per_second: service app has none, and the load of a trace needs it: say \
         in its file how many requests one instance serves in a second"
    );
    let tracking = Choices { policy: Some("target_tracking".to_owned()), ..Choices::default() };
    let error = refused(scenario("by-requests"), tracking);
    assert!(error.starts_with("policy.kind is target_tracking: use utilization"), "{error}");

    let good = setup(scenario("by-requests"), Choices::default()).unwrap();
    let outcome = good.run(|_| Ok(())).unwrap();
    let requests = outcome.summary.requests;
    assert_eq!((requests.ok, outcome.figures.elasticity), (requests.due, None));
    assert!(!outcome.summary.conditions.contains_key("capacity"));
}
