//! How far a pull or a build has come, by what the command line says of it.
//!
//! Owns: the words of docker's and podman's command lines. What they do not say is not guessed. Runs nothing.

use std::collections::BTreeMap;

use crate::executors::Activity;

/// How far one has come.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    activity: Activity,
    image: String,
    /// By the layer's id: whether it is there.
    layers: BTreeMap<String, bool>,
    /// The step of a build that was named last.
    step: Option<Step>,
}

/// A step of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    number: u32,
    of: u32,
    /// What it does, as its recipe says it.
    does: String,
}

impl Steps {
    pub(super) fn new(activity: Activity, image: &str) -> Self {
        Self {
            activity,
            image: image.to_owned(),
            layers: BTreeMap::new(),
            step: None,
        }
    }

    pub(super) fn activity(&self) -> Activity {
        self.activity
    }

    /// Takes in a line that was said.
    pub(super) fn take_in(&mut self, line: &str) {
        match self.activity {
            Activity::Pulling => self.layer(line),
            Activity::Building => self.step = step(line).or(self.step.take()),
        }
    }

    /// `5f70bf18a086: Pull complete`
    fn layer(&mut self, line: &str) {
        let Some((id, state)) = line.split_once(": ") else {
            return;
        };
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return;
        }
        let is_there = state.starts_with("Pull complete") || state.starts_with("Already exists");
        *self.layers.entry(id.to_owned()).or_default() |= is_there;
    }

    /// As a reason: `pulling busybox:1 (3 of 5 layers)`.
    pub(super) fn sentence(&self) -> String {
        let mut sentence = format!("{} {}", self.activity.as_str(), self.image);
        if !self.layers.is_empty() {
            let there = self.layers.values().filter(|is_there| **is_there).count();
            sentence += &format!(" ({there} of {} layers)", self.layers.len());
        }
        if let Some(Step { number, of, .. }) = &self.step {
            sentence += &format!(" (step {number} of {of})");
        }
        sentence
    }

    /// Where it is, behind what became of it: ` at step 2 of 7, RUN make`; nothing where that is not known.
    pub(super) fn place(&self) -> String {
        let Some(Step { number, of, does }) = &self.step else {
            return String::new();
        };
        let place = format!(" at step {number} of {of}");
        match does.is_empty() {
            true => place,
            false => format!("{place}, `{does}`"),
        }
    }
}

/// `Step 2/5 : RUN make`, podman's `STEP 2/5: RUN make`, BuildKit's `#7 [stage 2/5] RUN make`.
fn step(line: &str) -> Option<Step> {
    let is_step =
        line.len() >= 5 && line.is_char_boundary(5) && line[..5].eq_ignore_ascii_case("step ");
    let (text, rest) = if is_step {
        let line = &line[5..];
        line.split_at(line.find([' ', ':']).unwrap_or(line.len()))
    } else {
        let (bracket, rest) = line
            .strip_prefix('#')?
            .split_once(" [")?
            .1
            .split_once(']')?;
        (bracket.rsplit(' ').next()?, rest)
    };
    let (number, of) = text.split_once('/')?;
    let does = rest.trim_start_matches([' ', ':']).trim_end();
    Some(Step {
        number: number.parse().ok()?,
        of: of.parse().ok()?,
        does: does.chars().take(LONGEST_WORDS).collect(),
    })
}

/// Characters that are kept of what a step does.
const LONGEST_WORDS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(activity: Activity, lines: &[&str]) -> String {
        let mut steps = Steps::new(activity, "shop/api:1");
        for line in lines {
            steps.take_in(line);
        }
        steps.sentence()
    }

    #[test]
    fn a_pull_counts_its_layers() {
        let lines = [
            "1: Pulling from shop/api",
            "5f70bf18a086: Already exists",
            "aaaabbbbcccc: Pulling fs layer",
            "ddddeeeeffff: Pulling fs layer",
        ];
        let expected = "pulling shop/api:1 (1 of 3 layers)";
        assert_eq!(after(Activity::Pulling, &lines[1..]), expected);
        let more = [
            "aaaabbbbcccc: Download complete",
            "aaaabbbbcccc: Pull complete",
        ];
        let all = [&lines[1..], &more].concat();
        assert_eq!(
            after(Activity::Pulling, &all),
            "pulling shop/api:1 (2 of 3 layers)"
        );
        assert_eq!(
            after(Activity::Pulling, &["latest: Pulling from x"]),
            "pulling shop/api:1"
        );
    }

    #[test]
    fn a_build_says_its_step_in_the_words_of_every_builder() {
        for line in [
            "Step 2/5 : RUN make",
            "STEP 2/5: RUN make",
            "#7 [2/5] RUN make",
            "#7 [build 2/5] RUN make",
        ] {
            let lines = [
                line,
                " ---> Running in 4a",
                "#8 DONE 0.1s",
                "Step by step",
                "ümläut",
            ];
            assert_eq!(
                after(Activity::Building, &lines),
                "building shop/api:1 (step 2 of 5)"
            );
        }
        assert_eq!(after(Activity::Building, &[]), "building shop/api:1");
    }

    #[test]
    fn a_build_that_ends_says_at_which_step() {
        let place = |lines: &[&str]| {
            let mut steps = Steps::new(Activity::Building, "shop/api:1");
            lines.iter().for_each(|line| steps.take_in(line));
            steps.place()
        };
        for line in [
            "Step 2/5 : RUN make",
            "STEP 2/5: RUN make",
            "#7 [build 2/5] RUN make",
        ] {
            let lines = ["Step 1/5 : FROM x", line, "make: not found"];
            assert_eq!(place(&lines), " at step 2 of 5, `RUN make`");
        }
        assert_eq!(place(&["Step 2/5"]), " at step 2 of 5");
        assert_eq!(place(&["unable to prepare context"]), "");
    }
}
