//! The oracle of the tests: recomputes from nothing what is cached, and states what must hold after every step.
//!
//! Owns: the check of the invariants of [the module](super) that one look at the world can decide. Never used by the
//! program itself; it costs a walk over the whole graph.

use super::face::{Around, Face, Pass};
use super::graph::base_on;
use super::life::{Life, Phase, Rung};
use super::vocabulary::{Index, State};
use super::world::World;

impl World {
    /// Checks everything that must hold between steps.
    ///
    /// # Panics
    /// With the invariant that does not hold, and the unit. Definitions that changed since the last step or `resume`
    /// count as a change that has not been worked through.
    pub fn check(&self) {
        assert!(self.queue.is_empty(), "a step leaves nothing to look at");
        let faces = self.recomputed_faces();
        let mut edges = 0;
        for at in 0..self.nodes.len() {
            let unit = Index(u32::try_from(at).expect("indices are u32"));
            let node = self.known(unit);
            check_life(unit, &node.life);
            edges += node.edges().len();
            assert_eq!(node.face, faces[at], "{unit:?}: its face is out of date");
            let seen =
                |edge: &super::vocabulary::Edge| faces[edge.on.0 as usize].seen_through(edge);
            let count = |shut: &dyn Fn(Pass) -> bool| {
                let counted = node.edges().iter().filter(|edge| shut(seen(edge))).count();
                u32::try_from(counted).expect("fewer edges than units squared")
            };
            assert_eq!(
                node.shut,
                count(&|pass| pass != Pass::Open),
                "{unit:?}: shut gates"
            );
            assert_eq!(
                node.barred,
                count(&|pass| pass == Pass::Barred),
                "{unit:?}: barred gates"
            );
            let blockers = node
                .dependents
                .iter()
                .filter(|(on, _)| faces[on.0 as usize].blocks);
            assert_eq!(
                node.blockers as usize,
                blockers.count(),
                "{unit:?}: blockers"
            );
            assert_eq!(
                self.order(unit),
                None,
                "{unit:?} may move and was not moved: {:?}",
                node.life
            );
            assert_eq!(
                node.bases.len(),
                node.edges().len(),
                "{unit:?}: a base for each edge"
            );
            for (edge, base) in node.edges().iter().zip(&node.bases) {
                let face = &faces[edge.on.0 as usize];
                let stands = edge.restart && node.life.is_running() && !node.life.renew;
                if let (true, Some(attempt)) = (stands, base_on(face, edge)) {
                    assert_eq!(
                        *base,
                        Some(attempt),
                        "{unit:?} runs upon an attempt that is gone"
                    );
                }
            }
        }
        let listed: usize = self.nodes.iter().map(|node| node.dependents.len()).sum();
        assert_eq!(edges, listed, "every edge is known at both ends");
        for (at, node) in self.nodes.iter().enumerate() {
            for &(on, position) in &node.dependents {
                let edge = self.known(on).edges()[position];
                assert_eq!(edge.on.0 as usize, at, "an edge is listed where it leads");
            }
        }
    }

    /// Every face, from the units' own facts alone, whatever is needed first.
    fn recomputed_faces(&self) -> Vec<Face> {
        let mut faces: Vec<Option<Face>> = vec![None; self.nodes.len()];
        let mut needed_first = Vec::with_capacity(self.nodes.len());
        let all = (0..self.nodes.len()).map(|at| Index(at as u32));
        for unit in all {
            for at in self.dependencies(unit).into_iter().chain([unit]) {
                if faces[at.0 as usize].is_some() {
                    continue;
                }
                let mut around = Around::default();
                for edge in self.known(at).edges() {
                    let face = faces[edge.on.0 as usize].expect("what is needed comes first");
                    around.shut += u32::from(face.seen_through(edge) != Pass::Open);
                    around.barred += u32::from(face.seen_through(edge) == Pass::Barred);
                }
                faces[at.0 as usize] = Some(self.face_of(at, around));
                needed_first.push(at);
            }
        }
        let mut faces: Vec<Face> = faces
            .into_iter()
            .map(|face| face.expect("every unit was visited"))
            .collect();
        for at in needed_first.into_iter().rev() {
            let node = self.known(at);
            let dependents = node.dependents.iter();
            let blockers = dependents.filter(|(on, _)| faces[on.0 as usize].blocks);
            let blockers = u32::try_from(blockers.count()).expect("fewer edges than units squared");
            faces[at.0 as usize].blocks = node.policy.is_some() && node.life.holds_back(blockers);
        }
        faces
    }
}

fn check_life(unit: Index, life: &Life) {
    let state = life.state();
    let shines = state == State::Ready && life.confirmed && !life.unhealthy;
    assert_eq!(
        life.published, shines,
        "{unit:?}: published exactly while ready and healthy"
    );
    assert!(
        life.confirmed || state.is_active(),
        "{unit:?}: only what may be alive is to be found"
    );
    assert!(
        !life.renew || life.is_running(),
        "{unit:?}: only what runs is renewed"
    );
    assert!(
        !life.unhealthy || life.is_running() || life.is_stopping() || life.phase == Phase::Lost,
        "{unit:?}: only what runs has health"
    );
    assert!(
        life.deadline.is_none() || state.is_active(),
        "{unit:?}: only what may be alive has a time to be ready or gone by"
    );
    let is_asked = matches!(
        life.phase,
        Phase::Stopping {
            rung: Rung::Asked,
            ..
        }
    );
    assert!(
        !is_asked || !life.confirmed || life.deadline.is_some(),
        "{unit:?}: asked to end, and never pressed"
    );
    match state {
        State::Held => assert!(life.held, "{unit:?}: kept down by nobody"),
        State::Backoff | State::CrashLoop => {
            assert!(
                life.shall_run(),
                "{unit:?}: waits to be started though it shall not run"
            );
        }
        State::Idle => assert!(!life.held, "{unit:?}: held, and not shown as such"),
        State::Starting
        | State::Settling
        | State::SetupRequired
        | State::SettingUp
        | State::Ready
        | State::Stopping
        | State::Done
        | State::Failed
        | State::Lost => {}
    }
    if state == State::Failed {
        assert!(!life.held, "{unit:?}: held, and not shown as such");
    }
}
