//! What a row of the matrix is.
//!
//! Owns: the shape of a row and of the order to run one. What the rows are stands in [`crate::matrix`].

use crate::fault::Fault;

/// One scenario: what is promised, and the trial of it.
pub(crate) struct Row {
    /// As it is called on the command line.
    pub(crate) name: &'static str,
    /// What has to hold.
    pub(crate) promise: &'static str,
    /// Where it belongs.
    pub(crate) when: When,
    /// Tries it; answers with the figures.
    pub(crate) run: fn(&Order) -> Result<String, Fault>,
}

impl Row {
    /// Whether it is tried beside a container engine of its own.
    pub(crate) fn needs_engine(&self) -> bool {
        self.name.starts_with("containers-")
    }
}

/// In which runs a row takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// In every run, the quick one included.
    Always,
    /// In the whole matrix.
    Whole,
    /// Only when it is asked for: it says what other programs do, and promises nothing.
    Beside,
}

/// How thoroughly a row is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// Fewer repetitions.
    pub(crate) quick: bool,
    /// Chooses among points and operations where not all are tried. Printed, so that a run can be repeated.
    pub(crate) seed: u64,
}

impl Order {
    /// The one figure in a quick run, the other in a whole one.
    pub(crate) fn pick<T>(&self, quick: T, whole: T) -> T {
        if self.quick { quick } else { whole }
    }
}
