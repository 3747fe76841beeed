//! The narrow interface to Python: bytes in, bytes out; the GIL is released while waiting.

use std::collections::HashMap;
use std::time::Duration;

use loadgen::plan::{CAPABILITIES, PLAN_FORMAT, Plan, PlanError};
use loadgen::run::{Run as LoadRun, Step, Threads};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

create_exception!(atm_engine, PlanRefused, PyException, "The plan cannot be run by this engine; the message says why.");

fn refused(error: &PlanError) -> PyErr {
    PlanRefused::new_err(error.to_string())
}

/// A started run.
#[pyclass(frozen, module = "atm_engine")]
struct Run(LoadRun);

#[pymethods]
impl Run {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // required by PyO3
    #[pyo3(signature = (plan, secrets, *, threads=None, most_threads=None, starts_at_ns=None))]
    fn start(
        py: Python<'_>,
        plan: &[u8],
        secrets: HashMap<String, String>,
        threads: Option<usize>,
        most_threads: Option<usize>,
        starts_at_ns: Option<u64>,
    ) -> PyResult<Self> {
        let plan = Plan::from_bytes(plan).map_err(|error| refused(&error))?;
        let threads = threads.map(Threads::PerLane).or(most_threads.map(Threads::AtMost)).unwrap_or_default();
        py.detach(|| LoadRun::start(plan, &secrets, threads, starts_at_ns)).map(Run).map_err(|error| refused(&error))
    }

    fn next_interval<'py>(&self, py: Python<'py>, timeout_seconds: f64) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let timeout =
            Duration::try_from_secs_f64(timeout_seconds).map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(match py.detach(|| self.0.next_interval(timeout)) {
            Step::Interval(bytes) => Some(PyBytes::new(py, &bytes)),
            Step::Waiting | Step::Over => None,
        })
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.0.stop());
    }

    fn cancel(&self, py: Python<'_>) {
        py.detach(|| self.0.cancel());
    }

    fn set_secret(&self, py: Python<'_>, slot: &str, value: &str) -> PyResult<()> {
        py.detach(|| self.0.set_secret(slot, value)).map_err(|error| refused(&error))
    }

    fn report<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let report = self.0.report()?;
        serde_json::to_vec(&report).ok().map(|bytes| PyBytes::new(py, &bytes))
    }
}

/// Validates the plan, raising an error if it cannot be run here.
#[pyfunction]
fn check(plan: &[u8]) -> PyResult<()> {
    Plan::from_bytes(plan).map(drop).map_err(|error| refused(&error))
}

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("version", env!("CARGO_PKG_VERSION"))?;
    module.add("PLAN_FORMAT", PLAN_FORMAT)?;
    module.add("capabilities", CAPABILITIES)?;
    module.add("PlanRefused", module.py().get_type::<PlanRefused>())?;
    module.add_function(wrap_pyfunction!(check, module)?)?;
    module.add_class::<Run>()
}
