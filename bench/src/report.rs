//! The table and the file of one benchmark.
//!
//! Owns: how figures are shown. Never measures. A ratio is to the floor of the same workload in the same run.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::compose::Form;
use crate::contender::Kind;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::machine::Machine;

/// What one benchmark measured.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    machine: Machine,
    absent: Vec<&'static str>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    workload: String,
    unit: &'static str,
    contender: Column,
    figures: Figures,
}

/// Whose figures they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// A contender's.
    Of(Kind),
    /// Of a second floor: a copy from pipe to file.
    Copy,
    /// Of a third floor: a splice from pipe to file.
    Splice,
    /// Of the engine's command line.
    Docker,
    /// Of Docker Compose.
    Compose(Form),
    /// Of a loop of `ssh`, a connection for each command.
    Ssh,
    /// The same over one connection per host.
    SharedSsh,
    /// The link without anything.
    Link,
    /// `wireguard-go`, set up by hand.
    WireGuardGo,
}

impl Column {
    /// Its name at the head of the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Of(kind) => kind.name(),
            Self::Copy => "pipe, copied",
            Self::Splice => "pipe, spliced",
            Self::Docker => "docker",
            Self::Compose(form) => form.name(),
            Self::Ssh => "ssh",
            Self::SharedSsh => "ssh, ControlMaster",
            Self::Link => "bare link",
            Self::WireGuardGo => "wireguard-go",
        }
    }
}

impl Report {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(name: &'static str, machine: Machine, absent: Vec<&'static str>) -> Self {
        Self {
            name,
            machine,
            absent,
            rows: Vec::new(),
        }
    }

    /// Notes what a contender needed for a workload, and says so on standard error.
    pub fn add(&mut self, workload: &str, unit: &'static str, contender: Column, figures: Figures) {
        eprintln!(
            "{workload}: {} {} {unit}",
            contender.name(),
            shown(figures.median())
        );
        self.rows.push(Row {
            workload: workload.to_owned(),
            unit,
            contender,
            figures,
        });
    }

    /// Prints the table and writes `target/bench/<name>.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(&self) -> Result<(), Failure> {
        println!("{}", self.table());
        let path = self.path()?;
        let attempt = format!("write {}", path.display());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Failure::io(&attempt))?;
        }
        let text = serde_json::to_string_pretty(&self.to_json())
            .expect("a value made of text and numbers is JSON");
        fs::write(&path, text + "\n").map_err(Failure::io(attempt))?;
        eprintln!("written to {}", path.display());
        Ok(())
    }

    /// The Markdown table: a line for each workload, a column for each contender that has figures.
    #[must_use]
    pub fn table(&self) -> String {
        let mut columns: Vec<Column> = self.rows.iter().map(|row| row.contender).collect();
        columns.sort_unstable();
        columns.dedup();
        let mut lines = vec![format!("{}: {}", self.name, self.machine.to_line())];
        if !self.absent.is_empty() {
            lines.push(format!("not installed: {}", self.absent.join(", ")));
        }
        lines.push(String::new());
        let heads: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        lines.push(format!("| workload | {} |", heads.join(" | ")));
        lines.push(format!("|---|{}", "---:|".repeat(columns.len())));
        let mut seen: Vec<&str> = Vec::new();
        for row in &self.rows {
            if seen.contains(&row.workload.as_str()) {
                continue;
            }
            seen.push(&row.workload);
            let cells: Vec<String> = columns
                .iter()
                .map(|column| self.cell(&row.workload, *column))
                .collect();
            lines.push(format!(
                "| {} ({}) | {} |",
                row.workload,
                row.unit,
                cells.join(" | ")
            ));
        }
        lines.join("\n")
    }

    fn find(&self, workload: &str, contender: Column) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| row.workload == workload && row.contender == contender)
    }

    fn ratio(&self, row: &Row) -> Option<f64> {
        let floor = self
            .find(&row.workload, Column::Of(Kind::Floor))?
            .figures
            .median();
        let is_other = row.contender != Column::Of(Kind::Floor);
        (is_other && floor > 0.0).then(|| row.figures.median() / floor)
    }

    fn cell(&self, workload: &str, contender: Column) -> String {
        let Some(row) = self.find(workload, contender) else {
            return "–".into();
        };
        let value = shown(row.figures.median());
        self.ratio(row)
            .map_or(value.clone(), |ratio| format!("{value} ({ratio:.2}×)"))
    }

    fn to_json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "workload": row.workload,
                    "contender": row.contender.name(),
                    "unit": row.unit,
                    "median": row.figures.median(),
                    "p99": row.figures.quantile(0.99),
                    "max": row.figures.quantile(1.0),
                    "ratio_to_floor": self.ratio(row),
                    "figures": row.figures.all(),
                })
            })
            .collect();
        json!({
            "schema_version": 1,
            "benchmark": self.name,
            "machine": self.machine.to_json(),
            "not_installed": self.absent,
            "rows": rows,
        })
    }

    /// In the target directory that this program was built into.
    fn path(&self) -> Result<PathBuf, Failure> {
        let own = std::env::current_exe().map_err(Failure::io("find this program"))?;
        let target = own.parent().and_then(|profile| profile.parent());
        let target = target
            .ok_or_else(|| Failure::Wrong("this program lies in no target directory".into()))?;
        Ok(target.join("bench").join(format!("{}.json", self.name)))
    }
}

/// Three figures that mean something.
fn shown(value: f64) -> String {
    match value {
        value if value.is_nan() => "–".into(),
        0.0 => "0".into(),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_cell_shows_the_median_and_its_ratio_to_the_floor() {
        let mut report = Report::new("x", Machine::here(Path::new("/")), vec!["s6"]);
        report.add("start", "ms", Column::Of(Kind::Floor), Figures::from(30.0));
        report.add("start", "ms", Column::Of(Kind::Ours), Figures::from(75.0));
        report.add("idle", "MB", Column::Of(Kind::Ours), Figures::from(0.5));
        let table = report.table();
        assert!(
            table.contains("| start (ms) | 30.0 | 75.0 (2.50×) |"),
            "{table}"
        );
        assert!(table.contains("| idle (MB) | – | 0.500 |"), "{table}");
        assert!(table.contains("not installed: s6"), "{table}");
    }
}
