//! Runs a plan without Python, for profilers: `drive PLAN.json [THREADS]` prints the last interval and the report.

use std::time::Duration;

use loadgen::plan::Plan;
use loadgen::run::{Run, Step, Threads};
use loadgen::template::Secrets;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which plan?")?;
    let threads =
        arguments.next().map(|text| text.parse()).transpose()?.map_or_else(Threads::default, Threads::PerLane);
    let plan = Plan::from_bytes(&std::fs::read(path)?)?;
    let run = Run::start(plan, &Secrets::new(), threads, None)?;
    let mut started = 0;
    loop {
        match run.next_interval(Duration::from_secs(1)) {
            Step::Interval(bytes) => {
                let interval: serde_json::Value = serde_json::from_slice(&bytes)?;
                for endpoint in interval["endpoints"].as_array().into_iter().flatten() {
                    started += endpoint["started"].as_u64().unwrap_or(0);
                    println!("{} {} {}", interval["second"], endpoint["outcomes"], endpoint["statuses"]);
                }
                if let Some(failures) = interval.get("failures") {
                    println!("{failures}");
                }
            }
            Step::Waiting => {}
            Step::Over => break,
        }
    }
    println!("started {started}");
    println!("{}", serde_json::to_string(&run.report())?);
    Ok(())
}
