//! Experiments as a host keeps them, with runs as the load generator writes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use run::series::RunSeries;
use run::summary::Summary;
use run::{ResultsFolder, Run};
use serde_json::{Value, json};

use crate::history::now;
use crate::pages_of_versions::job_id;

/// A folder of the tree.
fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Has the console know of the experiments that are kept in this folder, and of all scenarios that are shipped.
pub(crate) fn knows(command: &mut Command, folder: &Path) {
    command.arg("--experiments").arg(folder.join("experiments"));
    let own = folder.join("scenarios");
    command.arg("--scenarios").arg(if own.exists() { own } else { tree("loadgen/scenarios") });
    command.arg("--policies").arg(tree("loadgen/policies"));
}

/// From now on this folder has scenarios of its own: some of those that are shipped, for a shop.
pub(crate) fn scenarios_for_a_shop(folder: &Path) {
    fs::create_dir(folder.join("scenarios")).unwrap();
    for name in ["ramp.toml", "seven-stages.toml", "spike.toml"] {
        let text = fs::read_to_string(tree("loadgen/scenarios").join(name)).unwrap();
        let text = text.replace("service = \"object-store\"", "service = \"shop\"");
        fs::write(folder.join("scenarios").join(name), text).unwrap();
    }
}

/// An experiment of this number, which began five minutes ago, after those of smaller numbers.
pub(crate) struct Tried {
    folder: PathBuf,
    pub(crate) id: String,
    record: Value,
}

impl Tried {
    /// One that has not ended.
    pub(crate) fn begun(folder: &Path, number: u64, service: &str) -> Self {
        let id = job_id(number);
        let record = json!({
            "id": id, "service": service, "scenario": "spike", "policy": "hpa", "runs": 1, "time_factor": 0.5, "seed": 7,
            "begun_at_ms": now().as_millis() - 300_000 + 1_000 * number, "ended_at_ms": null, "outcome": null,
        });
        let folder = folder.join("experiments").join(&id);
        fs::create_dir_all(folder.join("results")).unwrap();
        let tried = Self { folder, id, record };
        tried.write();
        tried
    }

    /// Something else was asked for.
    pub(crate) fn asked(mut self, key: &str, value: Value) -> Self {
        self.record[key] = value;
        self.write();
        self
    }

    /// It ended so, two minutes after it began.
    pub(crate) fn ended(self, is_well: bool, verdict: &str) -> Self {
        let begun = self.record["begun_at_ms"].as_u64().unwrap();
        self.asked("ended_at_ms", json!(begun + 120_000))
            .asked("outcome", json!({ "is_well": is_well, "verdict": verdict }))
    }

    /// It left a run, at this place below its folder of results; what it measured is changed first.
    pub(crate) fn left(self, place: &str, change: impl Fn(&mut Summary)) -> Self {
        let Run { mut summary, rows, ticks } =
            Run::read(&tree("crates/report/tests/spike")).unwrap();
        change(&mut summary);
        let fleet =
            Run { summary: summary.clone(), rows: rows.clone(), ticks: ticks.clone() }.fleet();
        let load_end_s = summary.warm_up_s + summary.duration_s;
        let (title, subtitle) = (summary.scenario.clone(), "as it was".to_owned());
        let series =
            RunSeries { title, subtitle, warm_up_s: summary.warm_up_s, load_end_s, rows, fleet };
        let all = ResultsFolder::reuse(&self.results(), place).unwrap();
        all.write(&summary, &series, &ticks).unwrap();
        self.leads_to("spike-1")
    }

    /// `latest` leads there.
    pub(crate) fn leads_to(self, place: &str) -> Self {
        let latest = self.results().join("latest");
        let _ = fs::remove_file(&latest);
        symlink(place, &latest).unwrap();
        self
    }

    /// It left this file as well.
    pub(crate) fn wrote(self, file: &str, text: &str) -> Self {
        fs::write(self.results().join(file), text).unwrap();
        self
    }

    /// Where its results are.
    pub(crate) fn results(&self) -> PathBuf {
        self.folder.join("results")
    }

    /// Its job, as the scaler tells of it while it goes on.
    pub(crate) fn job(&self) -> Value {
        let begun = &self.record["begun_at_ms"];
        json!({
            "id": self.id, "kind": "experiment", "service": self.record["service"], "who": null, "begun_at_ms": begun,
            "ended_at_ms": null, "stage": "load", "steps": [{ "stage": "begin", "begun_at_ms": begun }], "outcome": null,
        })
    }

    fn write(&self) {
        fs::write(self.folder.join("experiment.json"), self.record.to_string()).unwrap();
    }
}
